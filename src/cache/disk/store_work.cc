// The store's thread: reads before removals before writes, each in the order asked for.
#include <algorithm>

#include "cache/disk/layout.h"
#include "cache/disk/store_state.h"

namespace kvern::cache {
namespace {

constexpr std::size_t kBatch = 16;         // records that share a directory sync
constexpr std::uint32_t kFailedReads = 3;  // of one record, until its file is given up
constexpr std::uint64_t kDailySaveBytes = 64ULL << 20;

template <typename Queue>
auto take(Queue& queue) -> std::optional<typename Queue::value_type> {
  if (queue.empty()) return std::nullopt;
  auto first = std::move(queue.front());
  queue.pop_front();
  return first;
}

}  // namespace

void DiskStore::State::work(std::stop_token stop) {
  while (!stop.stop_requested()) {
    {
      std::unique_lock guard(mutex);
      wake.wait(guard, [&] { return has_work || stop.stop_requested(); });
    }
    drain(&stop);
  }
  // What is written already only wants its directories' syncs; the rest is lost.
  [[maybe_unused]] const Status ignored = sync_batch();
}

void DiskStore::State::drain(const std::stop_token* stop) {
  while (stop == nullptr || !stop->stop_requested()) {
    {
      const std::lock_guard guard(mutex);
      has_work = false;
    }
    bool worked = false;
    while ((stop == nullptr || !stop->stop_requested()) && step()) {
      worked = true;
      notify();
    }
    settle();
    notify();
    const std::lock_guard guard(mutex);
    if (!has_work || !worked) return;
  }
}

// One piece of work, the most urgent. False: there is none.
bool DiskStore::State::step() {
  std::unique_lock guard(mutex);
  if (const auto id = take(reads)) {
    guard.unlock();
    read_one(*id);
    return true;
  }
  if (const auto removal = take(removals)) {
    guard.unlock();
    shelf.remove(removal->id, removal->bytes);
    return true;
  }
  if (const auto task = take(tasks)) {
    guard.unlock();
    (*task)();
    return true;
  }
  if (batch.size() < kBatch) {
    if (const auto job = take(writes)) {
      busy = true;
      guard.unlock();
      write_one(*job);
      return true;
    }
  }
  if (!busy) return false;
  guard.unlock();
  [[maybe_unused]] const Status told = sync_batch();  // by events
  return true;
}

// What can wait until nothing else is to be done.
void DiskStore::State::settle() {
  if (!owner) return;
  if (rescan_at_us >= 0 && clock.now_us() >= rescan_at_us) rescan();
  shelf.clear_leftovers();
  if (shelf.bytes() > options.budget_bytes) {
    evict(shelf.bytes() - options.budget_bytes + options.budget_bytes / kSlackOfBudget, true);
  }
  save_used(false);
  save_daily(false);
}

void DiskStore::State::read_one(const RecordId& id) {
  StoreEvent event;
  event.kind = StoreEvent::Kind::read;
  event.id = id;
  std::unique_lock guard(mutex);
  if (const auto job = waiting.find(id); job != waiting.end()) {
    event.payload = job->second->payload;  // not written yet, and read faster
  } else if (owner && !index.contains(id)) {
    event.payload = fail(Code::not_found, "no such record");
  } else {
    guard.unlock();
    const std::int64_t started_us = clock.now_us();
    event.payload = load(id);
    event.took_us = clock.now_us() - started_us;
    guard.lock();
  }
  events.push_back(std::move(event));
}

Result<SharedBytes> DiskStore::State::load(const RecordId& id) {
  const std::int64_t started_us = clock.now_us();
  auto payload = shelf.load(id);
  bool give_up = false;
  {
    const std::lock_guard guard(mutex);
    ++stats.reads;
    stats.read_us += static_cast<std::uint64_t>(clock.now_us() - started_us);
    const auto found = index.find(id);
    if (payload) {
      stats.read_bytes += (*payload)->size();
      if (found != index.end()) {
        found->second.failed_reads = 0;
        found->second.checked = true;
      }
      return payload;
    }
    // A read may fail because the process has too many files open; a bad sector fails every time.
    const bool failing = found != index.end() && ++found->second.failed_reads >= kFailedReads;
    give_up = payload.error().code == Code::corrupt || payload.error().code == Code::not_found || failing;
  }
  if (give_up) put_aside(id, payload.error());
  return payload;
}

void DiskStore::State::put_aside(const RecordId& id, const Error& why) {
  Entry entry;
  {
    const std::lock_guard guard(mutex);
    if (why.code != Code::not_found) ++stats.damaged;
    const auto found = index.find(id);
    if (found == index.end()) return;
    entry = std::move(found->second);
    index.erase(found);
  }
  if (!owner) return;
  if (entry.pinned) [[maybe_unused]]
    const Status ignored = shelf.set_pinned(id, false);
  if (why.code == Code::not_found) {
    shelf.remove(id, entry.file_bytes);  // it is gone; so are its bytes
  } else {
    shelf.put_aside(id, entry.file_bytes, why);
  }
}

void DiskStore::State::save_used(bool all) {
  std::vector<std::pair<RecordId, std::int64_t>> times;
  {
    const std::lock_guard guard(mutex);
    const auto add = [&](Entry& entry) {
      times.emplace_back(entry.info.id, entry.used_s);
      entry.saved_used_s = entry.used_s;
    };
    for (const RecordId& id : touched) {
      if (const auto found = index.find(id); found != index.end()) add(found->second);
    }
    touched.clear();
    if (all) {
      for (auto& [id, entry] : index) {
        if (entry.used_s != entry.saved_used_s) add(entry);
      }
    }
  }
  for (const auto& [id, used_s] : times) shelf.set_used(id, used_s);
}

void DiskStore::State::save_daily(bool always) {
  if (options.daily_write_bytes == 0 || daily_unsaved == 0) return;
  if (!always && daily_unsaved < std::min(kDailySaveBytes, options.daily_write_bytes / 64)) return;
  std::string text;
  {
    const std::lock_guard guard(mutex);
    text = daily.to_text();
  }
  // Lost, it gives at most what was not saved a second time.
  [[maybe_unused]] const Status ignored = shelf.write_note(std::string(layout::kWritten), text);
  daily_unsaved = 0;
}

void DiskStore::State::notify() {
  bool news = false;
  {
    const std::lock_guard guard(mutex);
    stats.bytes = shelf.bytes();
    news = events.size() > events_told;
    events_told = events.size();
  }
  stepped.notify_all();
  if (news && store->on_event) store->on_event();
}

}  // namespace kvern::cache
