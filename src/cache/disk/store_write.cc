// Writing: room first, then the file, then the directories' syncs for several at once.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/log.h"
#include "cache/disk/store_state.h"

namespace kvern::cache {
namespace {

constexpr std::int64_t kBackoffMin_us = 1'000'000;
constexpr std::int64_t kBackoffMax_us = 300'000'000;
constexpr std::uint64_t kAllocationUnit = 4096;  // of nearly every file system

std::uint64_t allocated(std::uint64_t bytes) {
  return (bytes + kAllocationUnit - 1) / kAllocationUnit * kAllocationUnit;
}

}  // namespace

void DiskStore::State::push_event(StoreEvent::Kind kind, const RecordId& id) {
  StoreEvent event;
  event.kind = kind;
  event.id = id;
  events.push_back(std::move(event));
}

void DiskStore::State::finish(const std::shared_ptr<Job>& job) {
  queued_bytes -= std::min<std::uint64_t>(queued_bytes, job->payload->size());
  const auto found = waiting.find(job->info.id);
  if (found != waiting.end() && found->second == job) waiting.erase(found);
}

void DiskStore::State::write_one(const std::shared_ptr<Job>& job) {
  const Status published = publish(job);
  const std::lock_guard guard(mutex);
  finish(job);
  if (!published && !job->cancelled) push_event(StoreEvent::Kind::gone, job->info.id);
}

// The file under its name, and in the index; safe after sync_batch().
Status DiskStore::State::publish(const std::shared_ptr<Job>& job) {
  const RecordId id = job->info.id;
  bool unchecked = false;
  {
    const std::lock_guard guard(mutex);
    if (job->cancelled) return {};
    const auto known = index.find(id);
    unchecked = known != index.end() && !known->second.checked;
  }
  // One that an earlier process wrote is taken for this one only when its bytes are good.
  if (unchecked) static_cast<void>(load(id));
  {
    const std::lock_guard guard(mutex);
    if (const auto known = index.find(id); known != index.end()) {
      if (known->second.safe) push_event(StoreEvent::Kind::written, id);
      return {};
    }
  }
  const std::uint64_t bytes = prefix_bytes(job->info.tokens.size()) + job->payload->size();
  if (Status room = make_room(allocated(bytes)); !room) {
    const std::lock_guard guard(mutex);
    ++stats.writes_dropped;
    return room;
  }
  const auto taken = shelf.publish(job->info, *job->payload);
  if (shelf.lost_folders()) rescan();
  if (!taken) {
    {
      const std::lock_guard guard(mutex);
      ++stats.write_failures;
    }
    suspend(taken.error().message);
    return fail(taken.error().code, taken.error().message);
  }
  bool unwanted = false;
  {
    const std::lock_guard guard(mutex);
    ++stats.writes;
    stats.written_bytes += bytes;
    daily.add(wall_s(), bytes);
    unwanted = job->cancelled;
    if (unwanted) {
      index.erase(id);  // a rescan may have found it
    } else {
      Entry entry;
      entry.info = job->info;
      entry.payload_bytes = job->payload->size();
      entry.file_bytes = *taken;
      entry.used_s = entry.saved_used_s = wall_s();
      entry.checked = true;
      index.insert_or_assign(id, std::move(entry));
    }
  }
  daily_unsaved += bytes;
  if (unwanted) {
    shelf.remove(id, *taken);
  } else {
    batch.push_back(id);
  }
  return {};
}

Status DiskStore::State::make_room(std::uint64_t bytes) {
  const std::uint64_t slack = options.budget_bytes / kSlackOfBudget;
  if (bytes > options.budget_bytes) {
    return fail(Code::too_large,
                fmt::format("a record of {} bytes, over the budget of {}", bytes, options.budget_bytes));
  }
  if (shelf.bytes() + bytes > options.budget_bytes) {
    evict(shelf.bytes() + bytes - options.budget_bytes + slack, true);
    if (shelf.bytes() + bytes > options.budget_bytes) {
      return fail(Code::too_large, "nothing more may be evicted: pinned records and files of others fill the budget");
    }
  }
  // A file system that cannot say is taken at the write's word.
  const auto space = shelf.space();
  const std::uint64_t needed = options.free_floor_bytes + bytes;
  if (!space || space->free_bytes >= needed) return {};
  const std::uint64_t freed = evict(needed - space->free_bytes + slack, true);
  if (space->free_bytes + freed >= needed) return {};
  const std::string why = fmt::format("the file system has {} bytes free, and {} must stay free", space->free_bytes,
                                      options.free_floor_bytes);
  suspend(why);
  return fail(Code::too_large, why);
}

// Returns the bytes it freed.
std::uint64_t DiskStore::State::evict(std::uint64_t bytes_to_free, bool others_too) {
  std::vector<OwnFile> own;
  std::vector<Key> expected;
  {
    const std::lock_guard guard(mutex);
    own.reserve(index.size());
    for (const auto& [id, entry] : index) {
      own.push_back(
          {id, entry.info.parent, entry.info.cost_ms, entry.hits, entry.used_s, entry.file_bytes, entry.pinned});
    }
    for (const auto& [id, job] : waiting) {
      if (id.kind == RecordKind::turn) continue;
      expected.push_back(job->info.parent);
      if (id.kind == RecordKind::snapshot) expected.push_back(id.key);
    }
  }
  const std::span<const OtherFile> others = others_too ? std::span(shelf.others()) : std::span<const OtherFile>();
  EvictionPlan plan = plan_eviction(own, others, expected, bytes_to_free, wall_s());
  const std::uint64_t before = shelf.bytes();
  for (const std::size_t i : plan.own) {
    {
      const std::lock_guard guard(mutex);
      if (index.erase(own[i].id) == 0) continue;  // removed meanwhile
      ++stats.evictions;
      push_event(StoreEvent::Kind::gone, own[i].id);
    }
    shelf.remove(own[i].id, own[i].bytes);
  }
  shelf.remove_others(std::move(plan.others));
  return before - std::min(before, shelf.bytes());
}

// An error of a directory's sync is final: what it covered may be lost at the next crash, and a second
// sync that succeeds would not say so.
Status DiskStore::State::sync_batch() {
  std::vector<RecordId> ids;
  ids.swap(batch);
  Status synced = shelf.sync();
  std::vector<std::pair<RecordId, std::uint64_t>> lost;
  {
    const std::lock_guard guard(mutex);
    busy = !writes.empty();
    for (const RecordId& id : ids) {
      const auto found = index.find(id);
      if (found == index.end() || found->second.safe) continue;
      if (synced) {
        found->second.safe = true;
        push_event(StoreEvent::Kind::written, id);
        continue;
      }
      ++stats.write_failures;
      lost.emplace_back(id, found->second.file_bytes);
      index.erase(found);
      push_event(StoreEvent::Kind::gone, id);
    }
    if (synced && !ids.empty()) backoff_us = 0;
  }
  for (const auto& [id, bytes] : lost) shelf.remove(id, bytes);
  if (!synced) suspend(synced.error().message);
  return synced;
}

void DiskStore::State::suspend(const std::string& because) {
  {
    const std::lock_guard guard(mutex);
    backoff_us = std::clamp(backoff_us * 2, kBackoffMin_us, kBackoffMax_us);
    suspended_until_us = clock.now_us() + backoff_us;
    suspended_because = because;
  }
  log::warn("cache writing suspended", {{"why", because}, {"for_s", backoff_us / 1'000'000}});
  drop_queue();
}

void DiskStore::State::drop_queue() {
  const std::lock_guard guard(mutex);
  for (const auto& job : writes) {
    finish(job);
    if (job->cancelled) continue;
    ++stats.writes_dropped;
    push_event(StoreEvent::Kind::gone, job->info.id);
  }
  writes.clear();
}

// Somebody removed folders below us, or the last scan saw too little: believe the disk, not the index.
void DiskStore::State::rescan() {
  auto found = shelf.scan(Access::owner);
  if (!found) found = Shelf::Found{{}, {}, 0, found.error().code == Code::not_found};
  std::unordered_set<RecordId, RecordIdHasher> there;
  for (const StoredRecord& record : found->records) there.insert(record.info.id);
  const std::unordered_set<RecordId, RecordIdHasher> damaged(found->damaged_records.begin(),
                                                             found->damaged_records.end());
  const std::lock_guard guard(mutex);
  for (auto at = index.begin(); at != index.end();) {
    const bool missing = found->complete && !there.contains(at->first);
    if (!missing && !damaged.contains(at->first)) {
      ++at;
      continue;
    }
    push_event(StoreEvent::Kind::gone, at->first);
    at = index.erase(at);
  }
  take_found(std::move(*found));
}

}  // namespace kvern::cache
