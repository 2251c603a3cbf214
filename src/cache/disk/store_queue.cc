// What callers ask for: queued here, done by the store's thread.
#include <fmt/format.h>

#include <future>

#include "base/log.h"
#include "cache/disk/store_state.h"

namespace kvern::cache {
namespace {

constexpr std::int64_t kTouchInterval_s = 3600;  // a record's file gets its time at most so often

}  // namespace

// Wall time that never jumps: what the clock said at open(), and what has passed since.
std::int64_t DiskStore::State::wall_s() const { return opened_s + (clock.now_us() - opened_us) / 1'000'000; }

std::string DiskStore::State::why_not_writing() const {
  if (!owner) return reader_because;
  if (closed) return "closed";
  if (clock.now_us() < suspended_until_us) return suspended_because;
  if (options.daily_write_bytes > 0 && daily.last_24h(wall_s()) >= options.daily_write_bytes) {
    return fmt::format("the daily budget of {} bytes is used up", options.daily_write_bytes);
  }
  return {};
}

bool DiskStore::State::enqueue(RecordInfo info, SharedBytes payload) {
  const Status writable =
      payload ? check_writable(info, payload->size()) : Status(fail(Code::invalid, "a record without a payload"));
  if (!writable) log::error("cache record refused", {{"why", writable.error().message}});
  const RecordId id = info.id;
  const std::lock_guard guard(mutex);
  if (const auto known = index.find(id); owner && known != index.end() && known->second.checked) {
    if (known->second.safe) {
      push_event(StoreEvent::Kind::written, id);
      has_work = true;
      wake.notify_one();
    }
    return true;
  }
  if (owner && waiting.contains(id)) return true;
  const std::uint64_t bytes = writable ? payload->size() : 0;
  const bool too_much = queued_bytes + bytes > options.queue_bytes;
  const bool over_day =
      options.daily_write_bytes > 0 && daily.last_24h(wall_s()) + queued_bytes + bytes > options.daily_write_bytes;
  if (!writable || too_much || over_day || !why_not_writing().empty()) {
    ++stats.writes_dropped;
    return false;
  }
  auto job = std::make_shared<Job>(Job{std::move(info), std::move(payload), false});
  waiting.emplace(id, job);
  writes.push_back(std::move(job));
  queued_bytes += bytes;
  has_work = true;
  wake.notify_one();
  return true;
}

void DiskStore::State::enqueue_read(const RecordId& id) {
  const std::lock_guard guard(mutex);
  reads.push_back(id);
  has_work = true;
  wake.notify_one();
}

void DiskStore::State::touch(const RecordId& id) {
  const std::int64_t now_s = wall_s();
  const std::lock_guard guard(mutex);
  const auto found = index.find(id);
  if (found == index.end()) return;
  Entry& entry = found->second;
  ++entry.hits;
  entry.used_s = std::max(entry.used_s, now_s);
  if (owner && now_s - entry.saved_used_s >= kTouchInterval_s) {
    entry.saved_used_s = entry.used_s;
    touched.push_back(id);
    has_work = true;
    wake.notify_one();
  }
}

void DiskStore::State::cancel_or_remove(const RecordId& id) {
  const std::lock_guard guard(mutex);
  if (!owner) return;
  if (const auto job = waiting.find(id); job != waiting.end()) {
    job->second->cancelled = true;
    waiting.erase(job);
  }
  if (const auto found = index.find(id); found != index.end() && !found->second.pinned) {
    removals.push_back({id, found->second.file_bytes});
    index.erase(found);
  }
  has_work = true;
  wake.notify_one();
}

void DiskStore::State::run_on_disk(const std::function<void()>& task) {
  if (!thread.joinable() || thread.get_id() == std::this_thread::get_id()) {
    task();
    notify();
    return;
  }
  const auto done = std::make_shared<std::promise<void>>();
  {
    const std::lock_guard guard(mutex);
    tasks.push_back([&task, done] {
      task();
      done->set_value();
    });
    has_work = true;
    wake.notify_one();
  }
  done->get_future().wait();
}

void DiskStore::State::wake_up() {
  const std::lock_guard guard(mutex);
  has_work = true;
  wake.notify_one();
}

}  // namespace kvern::cache
