// The disk tier as the cache sees it: what survives the process, what is lost, what is damaged.
#include "cache/cache_test_rig.h"

namespace kvern::cache {
namespace {

// Computed this, rested, and ended.
void an_earlier_process(MemoryStore& store, const std::vector<TokenId>& prompt) {
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  rig.run(prompt);
  rig.rest();
}

TEST(DiskTier, ARestartComputesOnlyTheTokenForLogits) {
  MemoryStore store;
  const auto prompt = text(1000, 'a');
  an_earlier_process(store, prompt);
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  const auto again = rig.run(prompt);
  EXPECT_EQ(again.disk_tokens, 999);
  EXPECT_EQ(again.why, ReuseStop::end);
  EXPECT_EQ(rig.run(prompt + text(10, 'b')).disk_tokens, 0) << "it is on the device now";
}

TEST(DiskTier, ABusyConversationIsNotWrittenAtEveryTurn) {
  MemoryStore store;
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  rig.run(text(300, 'a'));
  EXPECT_TRUE(store.records.empty());
  rig.rest();
  EXPECT_EQ(store.records.size(), 2U) << "a block and a tail";
}

TEST(DiskTier, FlushWritesWhatHasNotRestedYet) {
  MemoryStore store;
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  rig.run(text(300, 'a'));
  rig.cache->flush();
  EXPECT_EQ(store.records.size(), 2U);
}

// The tail of a turn is the beginning of the next one's block: on disk, too, it must not stay.
TEST(DiskTier, ATailThatGrewIsReplaced) {
  MemoryStore store;
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  rig.run(text(300, 'a'));
  rig.rest();
  rig.run(text(400, 'a'));
  rig.rest();
  EXPECT_EQ(store.records.size(), 2U);
}

TEST(DiskTier, WithoutRamBlocksGoStraightToDisk) {
  MemoryStore store;
  {
    Rig rig({.store = &store});
    rig.run(text(1000, 'a'));
    rig.rest();
  }
  Rig rig({.store = &store});
  EXPECT_EQ(rig.run(text(1000, 'a')).disk_tokens, 999);
}

TEST(DiskTier, WhatRamEvictsIsStillOnDisk) {
  MemoryStore store;
  Rig probe({.memory_bytes = 1 << 20});
  probe.run(text(600, 'a'));
  Rig rig({.cells = 700, .memory_bytes = probe.cache->tree().bytes() + 100, .store = &store});
  for (const char c : {'a', 'b', 'c'}) rig.run(text(600, c));
  const auto back = rig.run(text(600, 'a'));
  EXPECT_EQ(back.tokens(), 599);
  EXPECT_GT(back.disk_tokens, 0);
  EXPECT_LE(rig.cache->tree().bytes(), rig.cache->tree().budget_bytes());
}

TEST(DiskTier, ADamagedBlockEndsReuseThereAndIsForgotten) {
  MemoryStore store;
  const auto prompt = text(1000, 'a');
  an_earlier_process(store, prompt);
  for (const auto& [id, record] : store.records) {
    if (record.info.begin == 512) store.damaged.insert(id);
  }
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  const auto again = rig.run(prompt);
  EXPECT_EQ(again.tokens(), 512);
  EXPECT_EQ(again.why, ReuseStop::damaged);
  store.damaged.clear();
  rig.rest();
  Rig later({.memory_bytes = 1 << 20, .store = &store});
  EXPECT_EQ(later.run(prompt).disk_tokens, 999) << "it was computed and written again";
}

TEST(DiskTier, LostFilesAreMisses) {
  MemoryStore store;
  an_earlier_process(store, text(1000, 'a'));
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  store.records.clear();
  EXPECT_EQ(rig.run(text(1000, 'a')).tokens(), 0);
}

TEST(DiskTier, AFullStoreOnlyMeansThatNothingIsKept) {
  MemoryStore store;
  store.full = true;
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  rig.run(text(1000, 'a'));
  rig.rest();
  EXPECT_TRUE(store.records.empty());
  store.full = false;
  rig.clock.advance_us(10'000'000);
  rig.rest();
  EXPECT_EQ(store.records.size(), 4U) << "and that it is tried again";
}

// Its parent may only have been unreadable for a moment.
TEST(DiskTier, ARecordWithoutItsParentIsFoundAgainWhenTheParentIsWrittenAgain) {
  MemoryStore store;
  const auto prompt = text(600, 'a');
  an_earlier_process(store, prompt);
  std::erase_if(store.records, [](const auto& entry) { return entry.second.info.begin == 0; });
  {
    Rig rig({.memory_bytes = 1 << 20, .store = &store});
    EXPECT_EQ(rig.run(prompt).tokens(), 0);
    rig.rest();
  }
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  EXPECT_EQ(rig.run(prompt).disk_tokens, 599);
}

// A reader of another server's folder is refused for life.
TEST(DiskTier, AStoreThatRefusesIsAskedOnceInAWhileHoweverMuchWaits) {
  MemoryStore store;
  store.full = true;
  Rig rig({.memory_bytes = 1 << 22, .state = "hybrid", .store = &store});
  for (const char c : {'a', 'b', 'c'}) rig.run(text(700, c), {300, 600});
  const int before = store.refusals;
  for (int i = 0; i < 100; ++i) rig.rest();
  EXPECT_GT(store.refusals, before);
  EXPECT_LE(store.refusals - before, 100 * 2 * kWriteBehind_us / 5'000'000 * 2 + 4);
}

// What is written must be reachable: of a conversation its beginning.
TEST(DiskTier, WhenTheStoreTakesOnlyAPartItIsTheBeginning) {
  MemoryStore store;
  const auto prompt = text(2000, 'a');
  {
    Rig rig({.memory_bytes = 1 << 20, .store = &store});
    rig.run(prompt);
    store.room = 3;
    rig.cache->flush();
  }
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  EXPECT_EQ(rig.run(prompt).disk_tokens, 3 * kBlockTokens);
}

TEST(DiskTier, WhileTheDiskReadsOthersGoOn) {
  MemoryStore store;
  an_earlier_process(store, text(1000, 'a'));
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  store.slow = true;
  auto slow = rig.acquire(text(1000, 'a'));
  EXPECT_EQ(rig.cache->restore(slow.lease, 1 << 20, slow.reused), PrefixCache::Restore::waiting);
  EXPECT_EQ(rig.run(text(500, 'b')).tokens(), 0);
  store.answer_delayed();
  rig.cache->poll();
  EXPECT_TRUE(rig.restore(slow));
  EXPECT_EQ(slow.reused.disk_tokens, 999);
}

TEST(DiskTier, ALeaseGivenUpWhileLoadingLeavesNothingWrong) {
  MemoryStore store;
  an_earlier_process(store, text(1000, 'a'));
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  store.slow = true;
  {
    auto slow = rig.acquire(text(1000, 'a'));
    rig.cache->restore(slow.lease, 1, slow.reused);
    rig.cache->release(std::move(slow.lease));
  }
  store.slow = false;
  store.answer_delayed();
  rig.cache->poll();
  EXPECT_EQ(rig.run(text(1000, 'a')).tokens(), 999);
}

// A disk slower than computing is not read.
TEST(DiskTier, ComputingWinsWhenItIsFaster) {
  MemoryStore store;
  const auto prompt = text(1000, 'a');
  an_earlier_process(store, prompt);
  Rig rig({.memory_bytes = 1 << 20, .store = &store});
  auto first = rig.restored(text(600, 'z'));
  rig.compute(first.lease, text(600, 'z'), 500);
  rig.cache->grew(first.lease, text(100, 'z'), 1);  // 100 tokens in a microsecond
  rig.cache->cut(first.lease, 500);
  const auto computed = rig.run(prompt);
  EXPECT_EQ(computed.disk_tokens, 0);
}

// The store cancels a write without a word when its record is removed first.
TEST(DiskTier, ASnapshotForgottenBeforeItWasWrittenCanBeKeptAgain) {
  MemoryStore store;
  store.silent = true;
  Rig rig({.cells = 65'536, .memory_bytes = 1 << 26, .state = "hybrid", .store = &store});
  std::vector<TokenId> prompt;
  for (int turn = 0; turn < 60; ++turn) {
    prompt = prompt + text(100, static_cast<char>('a' + turn % 26));
    rig.run(prompt);
    rig.rest();
  }
  rig.cache->tree().for_each([](const Node& node) {
    if (!node.state.anywhere()) {
      EXPECT_FALSE(node.state.on_way) << node.end();
    }
  });
}

}  // namespace
}  // namespace kvern::cache
