#include "core/generator.h"

#include <algorithm>
#include <utility>

namespace kvern {

void Stream::offer(Step step) {
  bool was_empty;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    was_empty = steps_.empty();
    steps_.push_back(std::move(step));
  }
  changed_.notify_all();
  if (was_empty && on_ready) on_ready();
}

void Stream::end(Ending ending) {
  bool was_empty;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    was_empty = steps_.empty();
    ending_ = std::move(ending);
  }
  changed_.notify_all();
  if (was_empty && on_ready) on_ready();
}

std::size_t Stream::room() const {
  const std::lock_guard lock(mutex_);
  return capacity_ - std::min(capacity_, steps_.size());
}

std::optional<Ending> Stream::take(std::vector<Step>& steps) {
  bool was_full;
  std::optional<Ending> ending;
  {
    const std::lock_guard lock(mutex_);
    was_full = steps_.size() >= capacity_;
    for (Step& step : steps_) steps.push_back(std::move(step));
    steps_.clear();
    ending = ending_;
  }
  if (was_full) call_on_room();
  return ending;
}

void Stream::cancel() {
  cancelled_.store(true, std::memory_order_release);
  call_on_room();
}

void Stream::on_room(std::function<void()> room) {
  const std::lock_guard lock(mutex_);
  on_room_ = std::move(room);
}

// Outside the lock: what it wakes may look at this stream.
void Stream::call_on_room() {
  std::function<void()> room;
  {
    const std::lock_guard lock(mutex_);
    room = on_room_;
  }
  if (room) room();
}

void Stream::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ending_ || !steps_.empty(); });
}

}  // namespace kvern
