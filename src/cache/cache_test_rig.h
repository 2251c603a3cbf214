// What the tests of the prefix cache share: the fake engine, which refuses cells of other tokens, a
// clock of our own, and a store in memory that can lose, damage and delay what it holds.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/check.h"
#include "cache/prefix_cache.h"
#include "engine/fake/fake_engine.h"

namespace kvern::cache {

inline std::vector<TokenId> text(std::size_t n, char c) { return std::vector<TokenId>(n, static_cast<TokenId>(c)); }

inline std::vector<TokenId> operator+(std::vector<TokenId> a, const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class MemoryStore final : public RecordStore {
 public:
  bool write(RecordInfo info, SharedBytes payload) override {
    if (full || room == 0) {
      ++refusals;
      return false;
    }
    --room;
    const RecordId id = info.id;
    if (silent) return true;
    records[id] = {std::move(info), std::move(payload)};
    events.push_back({StoreEvent::Kind::written, id, SharedBytes(), 0});
    return true;
  }
  void read(const RecordId& id) override {
    ++reads;
    if (slow) {
      delayed.push_back(id);
    } else {
      answer(id);
    }
  }
  void touch(const RecordId&) override {}
  void remove(const RecordId& id) override { records.erase(id); }
  std::vector<StoreEvent> take_events() override { return std::exchange(events, {}); }

  void answer(const RecordId& id) {
    StoreEvent event{StoreEvent::Kind::read, id, SharedBytes(), 1000};
    const auto found = records.find(id);
    if (found == records.end()) {
      event.payload = fail(Code::not_found, "lost");
    } else if (damaged.contains(id)) {
      event.payload = fail(Code::corrupt, "damaged");
    } else {
      event.payload = found->second.payload;
    }
    events.push_back(std::move(event));
  }
  void answer_delayed() {
    for (const RecordId& id : std::exchange(delayed, {})) answer(id);
  }

  struct Record {
    RecordInfo info;
    SharedBytes payload;
  };
  std::unordered_map<RecordId, Record, RecordIdHasher> records;
  std::unordered_set<RecordId, RecordIdHasher> damaged;
  std::vector<StoreEvent> events;
  std::vector<RecordId> delayed;
  bool full = false;
  bool silent = false;  // accepts writes and never says what became of them
  int room = 1 << 30;   // writes it still takes
  int refusals = 0;
  bool slow = false;
  int reads = 0;
};

struct RigOptions {
  std::int32_t cells = 4096;
  std::uint64_t memory_bytes = 0;
  std::string state = "attention";
  MemoryStore* store = nullptr;
  std::int32_t sequences = 4;
  bool rows_in_parallel = true;
};

class Rig {
 public:
  explicit Rig(RigOptions options) {
    engine::Overrides overrides;
    overrides.cells = options.cells;
    overrides.context = options.cells;
    overrides.sequences = options.sequences;
    overrides.rows_in_parallel = options.rows_in_parallel;
    const std::string window = options.state == "sliding_window" ? R"(, "window": 128)" : "";
    auto made = engine::make_fake_engine_from_text(
        R"({"rules": [{"say": "x"}], "state": ")" + options.state + "\"" + window + "}", overrides);
    CHECK(made.has_value(), made ? "" : made.error().message);
    engine = std::move(*made);
    Options cache_options;
    cache_options.memory_bytes = options.memory_bytes;
    cache = std::make_unique<PrefixCache>(*engine, cache_options, clock, options.store);
    // A new process finds what the old one left: parents first.
    if (!options.store) return;
    std::vector<MemoryStore::Record> found;
    for (const auto& [id, record] : options.store->records) found.push_back(record);
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.info.begin < b.info.begin; });
    for (const auto& record : found) cache->add_stored(record.info, record.payload->size(), 0);
  }

  PrefixCache::Acquired acquire(const std::vector<TokenId>& prompt, std::string_view salt = {}) {
    auto acquired = cache->acquire(prompt, 0, salt);
    CHECK(acquired.has_value(), acquired ? "" : acquired.error().message);
    return std::move(*acquired);
  }

  // Until nothing is left to load. False when it was lost: acquire again.
  bool restore(PrefixCache::Acquired& acquired) {
    for (int i = 0; i < 10'000; ++i) {
      const auto status = cache->restore(acquired.lease, 1 << 20, acquired.reused);
      if (status == PrefixCache::Restore::done) return true;
      if (status == PrefixCache::Restore::lost) return false;
      cache->poll();
    }
    ADD_FAILURE() << "restore never ended";
    return true;
  }

  PrefixCache::Acquired restored(const std::vector<TokenId>& prompt, std::string_view salt = {}) {
    while (true) {
      auto acquired = acquire(prompt, salt);
      if (restore(acquired)) return acquired;
    }
  }

  // Computes prompt up to `end`; the fake engine refuses cells of other tokens.
  void compute(const Lease& lease, const std::vector<TokenId>& prompt, std::size_t end) {
    const auto from = static_cast<std::size_t>(cache->length(lease));
    std::vector<engine::BatchToken> batch;
    for (std::size_t i = from; i < end; ++i)
      batch.push_back({prompt[i], lease.sequence(), static_cast<engine::Position>(i), i + 1 == prompt.size()});
    while (!batch.empty()) {
      const std::size_t n = std::min<std::size_t>(batch.size(), static_cast<std::size_t>(engine->info().batch));
      const auto decoded = engine->decode(std::span(batch).first(n));
      ASSERT_TRUE(decoded) << decoded.error().message;
      ASSERT_EQ(*decoded, engine::Decoded::ok);
      batch.erase(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(n));
    }
    if (from < end) cache->grew(lease, std::span(prompt).subspan(from, end - from));
  }

  // A whole request, stopping at `stops` as a scheduler does.
  PrefixCache::Reused run(const std::vector<TokenId>& prompt, std::vector<std::size_t> stops = {},
                          std::string_view salt = {}) {
    auto acquired = restored(prompt, salt);
    stops.push_back(prompt.size());
    for (const std::size_t stop : stops) {
      if (stop <= static_cast<std::size_t>(cache->length(acquired.lease))) continue;
      compute(acquired.lease, prompt, stop);
      if (stop < prompt.size()) cache->boundary(acquired.lease);
    }
    const PrefixCache::Reused reused = acquired.reused;
    cache->release(std::move(acquired.lease));
    while (cache->save_one()) {
    }
    cache->poll();
    return reused;
  }

  // Time passes in which nothing happens.
  void rest() {
    clock.advance_us(2 * kWriteBehind_us);
    cache->poll();
    cache->poll();
  }

  FakeClock clock;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<PrefixCache> cache;
};

}  // namespace kvern::cache
