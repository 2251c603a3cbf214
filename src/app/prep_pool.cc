#include "app/prep_pool.h"

#include <exception>

#include "base/log.h"

namespace kvern::app {
namespace {

// What escapes is memory running out, or a defect: that request gets the 500 of an unanswered
// exchange, the others go on.
void run_guarded(const PrepPool::Job& job) {
  try {
    job();
  } catch (const std::exception& e) {
    log::error("request preparation failed", {{"why", e.what()}});
  }
}

}  // namespace

PrepPool::PrepPool(std::size_t threads, std::size_t capacity) : queue_(capacity) {
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] {
      while (auto job = queue_.pop()) run_guarded(*job);
    });
  }
}

PrepPool::~PrepPool() { queue_.close(); }

}  // namespace kvern::app
