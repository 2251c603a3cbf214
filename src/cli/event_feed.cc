#include "cli/event_feed.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.h"

namespace kvern::cli {
namespace {

// With its place in the queue.
std::size_t bytes_of(const EventFeed::Event& event) { return sizeof event + event.name.size() + event.data.size(); }

}  // namespace

struct EventFeed::Shared {
  explicit Shared(std::size_t most) : bytes_max(most) {}

  // False: no more are wanted.
  bool add(Event event) {
    std::unique_lock lock(mutex);
    bytes += bytes_of(event);
    events.push_back(std::move(event));
    changed.notify_all();
    changed.wait(lock, [&] { return bytes < bytes_max || !wanted; });
    return wanted;
  }

  const std::size_t bytes_max;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Event> events;
  std::size_t bytes = 0;  // of events
  std::optional<Result<http::ClientResponse>> ending;
  bool wanted = true;
};

EventFeed::EventFeed(http::ClientRequest request, std::size_t unread_bytes_max)
    : shared_(std::make_shared<Shared>(unread_bytes_max)) {
  // Ctrl-C must interrupt the main thread's reads, so the new thread does not take it.
  sigset_t interrupt;
  sigset_t before;
  ::sigemptyset(&interrupt);
  ::sigaddset(&interrupt, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &interrupt, &before);
  std::thread([shared = shared_, request = std::move(request)] {
    auto ending = http::fetch_events(request, [&](std::string_view name, std::string_view data) {
      return shared->add({std::string(name), std::string(data)});
    });
    const std::lock_guard lock(shared->mutex);
    shared->ending = std::move(ending);
    shared->changed.notify_all();
  }).detach();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

EventFeed::~EventFeed() {
  const std::lock_guard lock(shared_->mutex);
  shared_->wanted = false;
  shared_->changed.notify_all();
}

EventFeed::Got EventFeed::next(Event& event, int wait_ms) {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, std::chrono::milliseconds(wait_ms),
                            [&] { return !shared_->events.empty() || shared_->ending; });
  if (!shared_->events.empty()) {
    event = std::move(shared_->events.front());
    shared_->events.pop_front();
    shared_->bytes -= bytes_of(event);
    shared_->changed.notify_all();
    return Got::data;
  }
  return shared_->ending ? Got::end : Got::nothing_yet;
}

const Result<http::ClientResponse>& EventFeed::ending() const {
  const std::lock_guard lock(shared_->mutex);
  CHECK(shared_->ending.has_value());
  return *shared_->ending;
}

}  // namespace kvern::cli
