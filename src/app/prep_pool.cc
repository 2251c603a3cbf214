#include "app/prep_pool.h"

namespace kvern::app {

PrepPool::PrepPool(std::size_t threads, std::size_t capacity) : queue_(capacity) {
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] {
      while (auto job = queue_.pop()) (*job)();
    });
  }
}

PrepPool::~PrepPool() { queue_.close(); }

}  // namespace kvern::app
