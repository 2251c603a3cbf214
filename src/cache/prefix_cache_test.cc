#include "cache/prefix_cache.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/check.h"
#include "engine/fake/fake_engine.h"

namespace kvern::cache {
namespace {

std::vector<TokenId> text(std::size_t n, char c) { return std::vector<TokenId>(n, static_cast<TokenId>(c)); }

std::vector<TokenId> operator+(std::vector<TokenId> a, const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Rig {
 public:
  explicit Rig(std::int32_t cells, std::uint64_t memory_bytes, const char* state = "attention") {
    engine::Overrides overrides;
    overrides.cells = cells;
    overrides.context = cells;
    overrides.sequences = 4;
    auto made = engine::make_fake_engine_from_text(
        std::string(R"({"rules": [{"say": "x"}], "state": ")") + state + "\"}", overrides);
    CHECK(made.has_value(), made ? "" : made.error().message);
    engine = std::move(*made);
    cache = std::make_unique<PrefixCache>(*engine, Options{memory_bytes, true});
  }

  PrefixCache::Acquired acquire(const std::vector<TokenId>& prompt) {
    auto acquired = cache->acquire(prompt, 0);
    CHECK(acquired.has_value(), acquired ? "" : acquired.error().message);
    return std::move(*acquired);
  }

  // Computes what the lease lacks of prompt; the fake engine refuses cells of other tokens.
  void compute(const Lease& lease, const std::vector<TokenId>& prompt) {
    const std::int32_t from = cache->length(lease);
    std::vector<engine::BatchToken> batch;
    for (std::size_t i = static_cast<std::size_t>(from); i < prompt.size(); ++i)
      batch.push_back({prompt[i], lease.sequence(), static_cast<engine::Position>(i), i + 1 == prompt.size()});
    while (!batch.empty()) {
      const std::size_t n = std::min<std::size_t>(batch.size(), static_cast<std::size_t>(engine->info().batch));
      const auto decoded = engine->decode(std::span(batch).first(n));
      ASSERT_TRUE(decoded) << decoded.error().message;
      ASSERT_EQ(*decoded, engine::Decoded::ok);
      batch.erase(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(n));
    }
    cache->grew(lease, std::span(prompt).subspan(static_cast<std::size_t>(from)));
  }

  PrefixCache::Acquired run(const std::vector<TokenId>& prompt) {
    auto acquired = acquire(prompt);
    compute(acquired.lease, prompt);
    const auto copy_tokens = acquired.device_tokens;
    const auto copy_memory = acquired.memory_tokens;
    const auto why = acquired.why;
    cache->release(std::move(acquired.lease));
    return {std::move(acquired.lease), copy_tokens, copy_memory, why};
  }

  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<PrefixCache> cache;
};

TEST(PrefixCache, ARunningSequenceIsASourceToo) {
  Rig rig(4096, 0);
  const auto head = text(600, 'h');
  auto first = rig.acquire(head + text(50, 'a'));
  rig.compute(first.lease, head + text(50, 'a'));
  const auto second = rig.acquire(head + text(70, 'b'));
  EXPECT_EQ(second.device_tokens, 600);
  EXPECT_EQ(second.why, ReuseStop::edited);
}

TEST(PrefixCache, AnIdleSequenceThatIsAPrefixIsContinuedInPlace) {
  Rig rig(1000, 0);
  rig.run(text(900, 'a'));
  const auto next = rig.acquire(text(900, 'a') + text(90, 'b'));
  EXPECT_EQ(next.device_tokens, 900);
  EXPECT_EQ(next.why, ReuseStop::new_text);
  EXPECT_EQ(rig.cache->used_cells(), 900);
}

// No room for a copy beside the source: its own cells are used, and the rest of it goes to RAM.
TEST(PrefixCache, WithoutRoomBesideItTheSourceIsCutAndItsEndKeptInMemory) {
  Rig rig(1000, 1 << 20);
  const auto shared = text(600, 's');
  rig.run(shared + text(350, 'a'));
  rig.run(shared + text(390, 'b'));
  const auto back = rig.run(shared + text(350, 'a'));
  EXPECT_EQ(back.device_tokens + back.memory_tokens, 949);
  EXPECT_GT(back.memory_tokens, 0);
}

TEST(PrefixCache, ABlockThatAgreesInPartIsLoadedAndCut) {
  Rig rig(700, 1 << 20);
  rig.run(text(600, 'a'));
  rig.run(text(650, 'z'));  // pushes the first one out to RAM
  const auto branch = rig.run(text(400, 'a') + text(200, 'b'));
  EXPECT_EQ(branch.device_tokens, 0);
  EXPECT_EQ(branch.memory_tokens, 400);
  EXPECT_EQ(branch.why, ReuseStop::edited);
}

TEST(PrefixCache, WhatMemoryHadToGiveUpIsCalledEvicted) {
  Rig probe(700, 1 << 20);
  probe.run(text(600, 'a'));
  probe.run(text(650, 'z'));
  Rig rig(700, probe.cache->tree().bytes() / 2);
  rig.run(text(600, 'a'));
  rig.run(text(650, 'y'));
  rig.run(text(650, 'z'));
  EXPECT_EQ(rig.run(text(600, 'a')).why, ReuseStop::evicted);
}

// Attention walks over every cell in use at each step, so idle conversations wait in RAM.
TEST(PrefixCache, IdleConversationsLeaveTheDeviceWhenAnotherOneStarts) {
  Rig rig(4096, 1 << 20);
  for (const char c : {'a', 'b', 'c', 'd'}) rig.run(text(600, c));
  EXPECT_LE(rig.cache->used_cells(), 600 + 4096 / kIdleShare);
  const auto back = rig.run(text(600, 'a'));
  EXPECT_EQ(back.memory_tokens, 599);
  EXPECT_EQ(back.why, ReuseStop::end);
}

TEST(PrefixCache, ALeaseThatDiesGivesItsCellsBack) {
  Rig rig(1000, 0);
  {
    auto acquired = rig.acquire(text(500, 'a'));
    rig.compute(acquired.lease, text(500, 'a'));
    EXPECT_EQ(rig.cache->used_cells(), 500);
  }
  EXPECT_EQ(rig.cache->used_cells(), 0);
}

TEST(PrefixCache, WhenEverySequenceIsLeasedItSaysBusy) {
  Rig rig(4096, 0);
  std::vector<PrefixCache::Acquired> held;
  for (int i = 0; i < 4; ++i) held.push_back(rig.acquire(text(10, static_cast<char>('a' + i))));
  const auto fifth = rig.cache->acquire(text(10, 'x'), 0);
  ASSERT_FALSE(fifth);
  EXPECT_EQ(fifth.error().code, Code::busy);
}

// A recurrent state cannot be cut: only a whole sequence may go on, everything else starts over.
TEST(PrefixCache, AStateThatCannotBeCutIsContinuedWholeOrNotAtAll) {
  Rig rig(4096, 1 << 20, "recurrent");
  rig.run(text(500, 'a'));
  const auto branch = rig.run(text(400, 'a') + text(50, 'b'));
  EXPECT_EQ(branch.device_tokens, 0);
  EXPECT_EQ(branch.why, ReuseStop::snapshot);
  const auto next = rig.run(text(500, 'a') + text(10, 'c'));
  EXPECT_EQ(next.device_tokens, 500);
  EXPECT_EQ(next.why, ReuseStop::new_text);
}

TEST(PrefixCache, DamagedBytesAreAMiss) {
  Rig rig(700, 1 << 20);
  rig.run(text(600, 'a'));
  rig.run(text(650, 'z'));
  for (const auto& step : rig.cache->tree().find(text(600, 'a'))) step.node->bytes.resize(3);
  const auto again = rig.run(text(600, 'a'));
  EXPECT_EQ(again.memory_tokens, 0);
}

}  // namespace
}  // namespace kvern::cache
