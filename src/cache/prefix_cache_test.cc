#include "cache/prefix_cache.h"

#include "cache/cache_test_rig.h"

namespace kvern::cache {
namespace {

TEST(PrefixCache, ARunningSequenceIsASourceToo) {
  Rig rig({.cells = 4096, .memory_bytes = 0});
  const auto head = text(600, 'h');
  auto first = rig.acquire(head + text(50, 'a'));
  rig.restore(first);
  rig.compute(first.lease, head + text(50, 'a'), 650);
  const auto second = rig.acquire(head + text(70, 'b'));
  EXPECT_EQ(second.reused.device_tokens, 600);
  EXPECT_EQ(second.reused.why, ReuseStop::edited);
}

TEST(PrefixCache, AnIdleSequenceThatIsAPrefixIsContinuedInPlace) {
  Rig rig({.cells = 1000, .memory_bytes = 0});
  rig.run(text(900, 'a'));
  const auto next = rig.acquire(text(900, 'a') + text(90, 'b'));
  EXPECT_EQ(next.reused.device_tokens, 900);
  EXPECT_EQ(next.reused.why, ReuseStop::new_text);
  EXPECT_EQ(rig.cache->used_cells(), 900);
}

// No room for a copy beside the source: its own cells are used, and the rest of it goes to RAM.
TEST(PrefixCache, WithoutRoomBesideItTheSourceIsCutAndItsEndKeptInMemory) {
  Rig rig({.cells = 1000, .memory_bytes = 1 << 20});
  const auto shared = text(600, 's');
  rig.run(shared + text(350, 'a'));
  rig.run(shared + text(390, 'b'));
  const auto back = rig.run(shared + text(350, 'a'));
  EXPECT_EQ(back.device_tokens + back.memory_tokens, 949);
  EXPECT_GT(back.memory_tokens, 0);
}

TEST(PrefixCache, ABlockThatAgreesInPartIsLoadedAndCut) {
  Rig rig({.cells = 700, .memory_bytes = 1 << 20});
  rig.run(text(600, 'a'));
  rig.run(text(650, 'z'));  // pushes the first one out to RAM
  const auto branch = rig.run(text(400, 'a') + text(200, 'b'));
  EXPECT_EQ(branch.device_tokens, 0);
  EXPECT_EQ(branch.memory_tokens, 400);
  EXPECT_EQ(branch.why, ReuseStop::edited);
}

TEST(PrefixCache, WhatMemoryHadToGiveUpIsCalledEvicted) {
  Rig probe({.cells = 700, .memory_bytes = 1 << 20});
  probe.run(text(600, 'a'));
  probe.run(text(650, 'z'));
  Rig rig({.cells = 700, .memory_bytes = probe.cache->tree().bytes() / 2});
  rig.run(text(600, 'a'));
  rig.run(text(650, 'y'));
  rig.run(text(650, 'z'));
  EXPECT_EQ(rig.run(text(600, 'a')).why, ReuseStop::evicted);
}

// Attention walks over every cell in use at each step, so idle conversations wait in RAM.
TEST(PrefixCache, IdleConversationsLeaveTheDeviceWhenAnotherOneStarts) {
  Rig rig({.cells = 4096, .memory_bytes = 1 << 20});
  for (const char c : {'a', 'b', 'c', 'd'}) rig.run(text(600, c));
  EXPECT_LE(rig.cache->used_cells(), 600 + 4096 / kIdleShare);
  const auto back = rig.run(text(600, 'a'));
  EXPECT_EQ(back.memory_tokens, 599);
  EXPECT_EQ(back.why, ReuseStop::end);
}

// There every row of others pays for an idle conversation's cells, and loading them again is soon cheaper.
TEST(PrefixCache, WhereRowsAreComputedOneByOneIdleConversationsLeaveTheDeviceWhileOthersCompute) {
  for (const bool one_by_one : {true, false}) {
    SCOPED_TRACE(one_by_one);
    Rig rig({.cells = 8192, .memory_bytes = 1 << 20, .rows_in_parallel = !one_by_one});
    rig.run(text(600, 'a'));
    auto other = rig.restored(text(900, 'b'));
    rig.compute(other.lease, text(900, 'b'), static_cast<std::size_t>(kRowsBesideIdle) - 1);
    rig.cache->vacate();
    EXPECT_EQ(rig.cache->idle_sequences(), 1) << "for a few rows it is not worth moving";
    rig.compute(other.lease, text(900, 'b'), static_cast<std::size_t>(kRowsBesideIdle));
    rig.cache->vacate();
    EXPECT_EQ(rig.cache->idle_sequences(), one_by_one ? 0 : 1);
    const auto back = rig.run(text(600, 'a'));
    EXPECT_EQ(one_by_one ? back.memory_tokens : back.device_tokens, 599);
  }
}

// On an engine that computes rows one by one: 'a' rests while 'b' is computed.
std::int32_t idle_beside_another(Rig& rig) {
  auto other = rig.restored(text(900, 'b'));
  rig.compute(other.lease, text(900, 'b'), 900);
  rig.cache->vacate();
  const std::int32_t idle = rig.cache->idle_sequences();
  rig.cache->release(std::move(other.lease));
  return idle;
}

TEST(PrefixCache, WhatMemoryDoesNotHoldStaysOnTheDevice) {
  MemoryStore disk;
  Rig disk_only({.cells = 8192, .memory_bytes = 0, .store = &disk, .rows_in_parallel = false});
  disk_only.run(text(600, 'a'));
  EXPECT_EQ(idle_beside_another(disk_only), 1);
  EXPECT_EQ(disk_only.run(text(600, 'a')).device_tokens, 599);

  Rig unsaved({.cells = 8192, .memory_bytes = 1 << 20, .rows_in_parallel = false});
  auto first = unsaved.restored(text(600, 'a'));
  unsaved.compute(first.lease, text(600, 'a'), 600);
  unsaved.cache->release(std::move(first.lease));
  EXPECT_EQ(idle_beside_another(unsaved), 1);

  Rig evicted({.cells = 8192, .memory_bytes = 1 << 20, .rows_in_parallel = false});
  evicted.run(text(600, 'a'));
  auto& tree = evicted.cache->tree();
  tree.drop_ram(*tree.find(evicted.cache->root(""), text(600, 'a')).front().node, Part::rows);
  EXPECT_EQ(idle_beside_another(evicted), 1);
}

TEST(PrefixCache, AStateThatCannotBeCutLeavesOnlyWhenMemoryHoldsIt) {
  for (const char* state : {"sliding_window", "recurrent"}) {
    SCOPED_TRACE(state);
    Rig held({.cells = 8192, .memory_bytes = 1 << 20, .state = state, .rows_in_parallel = false});
    held.run(text(600, 'a'));
    EXPECT_EQ(idle_beside_another(held), 0);
    EXPECT_EQ(held.run(text(600, 'a') + text(20, 'c')).memory_tokens, 600);

    Rig lost({.cells = 8192, .memory_bytes = 1 << 20, .state = state, .rows_in_parallel = false});
    lost.run(text(600, 'a'));
    auto& tree = lost.cache->tree();
    tree.drop_ram(*tree.states(lost.cache->root(""), text(600, 'a')).front(), Part::state);
    EXPECT_EQ(idle_beside_another(lost), 1);
  }
}

TEST(PrefixCache, ALeaseThatDiesGivesItsCellsBack) {
  Rig rig({.cells = 1000, .memory_bytes = 0});
  {
    auto acquired = rig.restored(text(500, 'a'));
    rig.compute(acquired.lease, text(500, 'a'), 500);
    EXPECT_EQ(rig.cache->used_cells(), 500);
  }
  EXPECT_EQ(rig.cache->used_cells(), 0);
}

TEST(PrefixCache, WhenEverySequenceIsLeasedItSaysBusy) {
  Rig rig({.cells = 4096, .memory_bytes = 0});
  std::vector<PrefixCache::Acquired> held;
  for (int i = 0; i < 4; ++i) held.push_back(rig.acquire(text(10, static_cast<char>('a' + i))));
  const auto fifth = rig.cache->acquire(text(10, 'x'), 0);
  ASSERT_FALSE(fifth);
  EXPECT_EQ(fifth.error().code, Code::busy);
}

TEST(PrefixCache, OtherSaltsFindNothing) {
  Rig rig({.memory_bytes = 1 << 20});
  rig.run(text(600, 'a'), {}, "key 1");
  EXPECT_EQ(rig.run(text(600, 'a'), {}, "key 2").tokens(), 0);
  EXPECT_EQ(rig.run(text(600, 'a'), {}, "key 1").tokens(), 599);
}

// One head and four ends of it, not four conversations.
TEST(PrefixCache, ConversationsThatShareAHeadKeepItOnce) {
  const auto head = text(1024, 'h');
  const auto bytes_for = [&](const std::string& ends) {
    Rig rig({.memory_bytes = 1 << 20});
    for (const char c : ends) rig.run(head + text(100, c));
    return rig.cache->tree().bytes();
  };
  const std::uint64_t one = bytes_for("a");
  const std::uint64_t tail = one * 100 / 1124;
  EXPECT_LE(bytes_for("abcd"), one + 3 * tail + 3 * 128);
}

// What a request used is shown to be worth the disk, what it did not is not.
TEST(PrefixCache, SaysWhatWasKnownToFollow) {
  Rig rig({.memory_bytes = 1 << 20});
  rig.run(text(300, 'a') + text(50, 'b'));
  const auto edited = rig.run(text(300, 'a') + text(50, 'c'));
  EXPECT_EQ(edited.branch, 300);
  EXPECT_EQ(edited.held, text(10, 'b'));
}

TEST(PrefixCache, DamagedBytesAreAMiss) {
  Rig rig({.cells = 700, .memory_bytes = 1 << 20});
  rig.run(text(600, 'a'));
  rig.run(text(650, 'z'));
  auto& tree = rig.cache->tree();
  for (const auto& step : tree.find(rig.cache->root(""), text(600, 'a'))) {
    tree.drop_ram(*step.node, Part::rows);
    tree.put(*step.node, Part::rows, std::make_shared<const engine::Bytes>(3), 0);
  }
  const auto again = rig.run(text(600, 'a'));
  EXPECT_EQ(again.memory_tokens, 0);
  EXPECT_EQ(again.why, ReuseStop::damaged);
}

}  // namespace
}  // namespace kvern::cache
