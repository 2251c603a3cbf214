#include "cache/disk/disk_store.h"

#include <algorithm>
#include <chrono>
#include <tuple>

#include "cache/disk/store_state.h"

namespace kvern::cache {
namespace {

tl::unexpected<Error> not_the_owner() {
  return fail(Code::busy, "another process owns the cache directory, or it is read-only");
}

}  // namespace

DiskStore::DiskStore(std::unique_ptr<State> state) : state_(std::move(state)) {}

DiskStore::~DiskStore() = default;

Result<std::unique_ptr<DiskStore>> DiskStore::open(FileSystem& files, const Clock& clock, DiskOptions options,
                                                   DiskIdentity identity) {
  auto state = std::make_unique<State>(files, clock, std::move(options), std::move(identity));
  TRY_OK(state->open());
  std::unique_ptr<DiskStore> store(new DiskStore(std::move(state)));
  store->state_->store = store.get();
  if (store->state_->options.threaded) store->state_->start();
  return store;
}

bool DiskStore::owner() const { return state_->owner; }

const Key& DiskStore::fingerprint() const { return state_->identity.fingerprint; }

std::vector<StoredRecord> DiskStore::list() const {
  std::vector<StoredRecord> records;
  {
    const std::lock_guard guard(state_->mutex);
    records.reserve(state_->index.size());
    for (const auto& [id, entry] : state_->index) {
      records.push_back({entry.info, entry.payload_bytes, entry.file_bytes, entry.used_s, entry.pinned});
    }
  }
  // A parent begins before its children; a snapshot comes after the rows of its node.
  std::sort(records.begin(), records.end(), [](const StoredRecord& a, const StoredRecord& b) {
    return std::tie(a.info.begin, a.info.id.kind, a.info.id.key) <
           std::tie(b.info.begin, b.info.id.kind, b.info.id.key);
  });
  return records;
}

bool DiskStore::write(RecordInfo info, SharedBytes payload) {
  return state_->enqueue(std::move(info), std::move(payload));
}

void DiskStore::read(const RecordId& id) { state_->enqueue_read(id); }

void DiskStore::touch(const RecordId& id) { state_->touch(id); }

void DiskStore::remove(const RecordId& id) { state_->cancel_or_remove(id); }

std::vector<StoreEvent> DiskStore::take_events() {
  const std::lock_guard guard(state_->mutex);
  state_->events_told = 0;
  return std::exchange(state_->events, {});
}

void DiskStore::close(int timeout_ms) {
  State& state = *state_;
  if (state.thread.joinable()) {
    std::unique_lock guard(state.mutex);
    state.closed = true;
    state.has_work = true;
    state.wake.notify_one();
    state.stepped.wait_for(guard, std::chrono::milliseconds(timeout_ms),
                           [&] { return state.writes.empty() && !state.busy; });
  } else {
    {
      const std::lock_guard guard(state.mutex);
      state.closed = true;
    }
    const std::int64_t until_us = state.clock.now_us() + std::int64_t{timeout_ms} * 1000;
    while (state.clock.now_us() < until_us && state.step()) state.notify();
  }
  state.run_on_disk([&state] {
    state.drop_queue();
    [[maybe_unused]] const Status told = state.sync_batch();  // by events
    if (!state.owner) return;
    state.save_used(true);
    state.save_daily(true);
  });
}

Status DiskStore::pin(const RecordId& id, bool pinned) {
  State& state = *state_;
  if (!state.owner) return not_the_owner();
  Status result;
  state.run_on_disk([&] {
    {
      const std::lock_guard guard(state.mutex);
      if (!state.index.contains(id)) {
        result = fail(Code::not_found, "no such record");
        return;
      }
    }
    result = state.shelf.set_pinned(id, pinned);
    if (!result) return;
    const std::lock_guard guard(state.mutex);
    if (const auto found = state.index.find(id); found != state.index.end()) found->second.pinned = pinned;
  });
  return result;
}

Result<std::uint64_t> DiskStore::prune(std::uint64_t bytes_max) {
  State& state = *state_;
  if (!state.owner) return not_the_owner();
  std::uint64_t freed = 0;
  state.run_on_disk([&] {
    const std::uint64_t bytes = state.shelf.bytes();
    if (bytes > bytes_max) freed = state.evict(bytes - bytes_max, true);
  });
  return freed;
}

Result<std::uint64_t> DiskStore::clear() {
  State& state = *state_;
  if (!state.owner) return not_the_owner();
  std::uint64_t freed = 0;
  state.run_on_disk([&] {
    state.drop_queue();
    freed = state.evict(UINT64_MAX, false);
  });
  return freed;
}

DiskStore::Verified DiskStore::verify(const std::function<bool(std::uint64_t done, std::uint64_t of)>& progress) {
  State& state = *state_;
  Verified verified;
  const std::vector<StoredRecord> records = list();
  std::uint64_t done = 0;
  for (const StoredRecord& record : records) {
    const RecordId id = record.info.id;
    // One at a time, so that reads of running requests go between.
    state.run_on_disk([&] {
      {
        const std::lock_guard guard(state.mutex);
        if (!state.index.contains(id)) return;  // evicted meanwhile
      }
      if (state.load(id)) {
        ++verified.good;
        verified.bytes += record.file_bytes;
        return;
      }
      ++verified.bad;
      const std::lock_guard guard(state.mutex);
      if (!state.index.contains(id)) state.push_event(StoreEvent::Kind::gone, id);
    });
    if (progress && !progress(++done, records.size())) break;
  }
  return verified;
}

Result<SharedBytes> DiskStore::read_now(const RecordId& id) {
  State& state = *state_;
  Result<SharedBytes> payload;
  state.run_on_disk([&] {
    {
      const std::lock_guard guard(state.mutex);
      if (const auto job = state.waiting.find(id); job != state.waiting.end()) {
        payload = job->second->payload;
        return;
      }
      if (state.owner && !state.index.contains(id)) {
        payload = fail(Code::not_found, "no such record");
        return;
      }
    }
    payload = state.load(id);
    if (payload) return;
    const std::lock_guard guard(state.mutex);
    if (!state.index.contains(id)) state.push_event(StoreEvent::Kind::gone, id);
  });
  return payload;
}

Status DiskStore::write_now(RecordInfo info, SharedBytes payload) {
  State& state = *state_;
  if (!state.owner) return not_the_owner();
  if (!payload) return fail(Code::invalid, "a record without a payload");
  TRY_OK(check_writable(info, payload->size()));
  Status result;
  const auto job = std::make_shared<State::Job>(State::Job{std::move(info), std::move(payload), false});
  state.run_on_disk([&] {
    {
      const std::lock_guard guard(state.mutex);
      state.queued_bytes += job->payload->size();
      state.waiting.emplace(job->info.id, job);
      state.busy = true;  // until its batch is synced
    }
    result = state.publish(job);
    const std::lock_guard guard(state.mutex);
    state.finish(job);
  });
  return result;
}

Status DiskStore::flush() {
  State& state = *state_;
  Status result;
  state.run_on_disk([&] { result = state.sync_batch(); });
  return result;
}

DiskStats DiskStore::stats() const {
  const std::lock_guard guard(state_->mutex);
  DiskStats stats = state_->stats;
  stats.owner = state_->owner;
  stats.records = state_->index.size();
  stats.budget_bytes = state_->options.budget_bytes;
  stats.queued_bytes = state_->queued_bytes;
  stats.suspended_because = state_->why_not_writing();
  return stats;
}

void DiskStore::run_pending() { state_->drain(nullptr); }

}  // namespace kvern::cache
