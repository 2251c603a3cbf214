// Threads for work that must block neither the network nor the engine: JSON, templates,
// tokenising, grammar compilation.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/limits.h"

namespace kvern::app {

// Thread: any.
class PrepPool {
 public:
  using Job = std::function<void()>;

  explicit PrepPool(std::size_t threads, std::size_t capacity = limits::kPrepQueue);
  // Runs what is queued, then ends.
  ~PrepPool();

  // False when too much waits already: the caller answers 503. Thread: any.
  [[nodiscard]] bool run(Job job) { return queue_.push(std::move(job)); }

 private:
  BoundedQueue<Job> queue_;
  std::vector<std::jthread> threads_;
};

}  // namespace kvern::app
