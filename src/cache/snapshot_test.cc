// Models whose state cannot be cut: reuse goes to the deepest position whose state was kept.
#include "cache/cache_test_rig.h"

namespace kvern::cache {
namespace {

class Snapshots : public testing::TestWithParam<const char*> {
 protected:
  RigOptions options(MemoryStore* store = nullptr) const {
    return {.memory_bytes = 1 << 22, .state = GetParam(), .store = store};
  }
};

TEST_P(Snapshots, ABranchGoesOnFromTheLastBoundaryBeforeIt) {
  Rig rig(options());
  const auto head = text(400, 'h');
  rig.run(head + text(300, 'a'), {400});
  const auto sibling = rig.run(head + text(300, 'b'), {400});
  EXPECT_EQ(sibling.tokens(), 400);
  EXPECT_EQ(sibling.why, ReuseStop::edited);
}

TEST_P(Snapshots, WithoutABoundaryThereReuseSaysSnapshot) {
  Rig rig(options());
  rig.run(text(500, 'a'));
  const auto branch = rig.run(text(400, 'a') + text(50, 'b'));
  EXPECT_EQ(branch.tokens(), 0);
  EXPECT_EQ(branch.why, ReuseStop::snapshot);
  EXPECT_EQ(branch.branch, 400);
}

TEST_P(Snapshots, TheNextTurnContinuesInPlace) {
  Rig rig(options());
  rig.run(text(500, 'a'));
  const auto next = rig.run(text(500, 'a') + text(10, 'c'));
  EXPECT_EQ(next.device_tokens, 500);
  EXPECT_EQ(next.why, ReuseStop::new_text);
}

// The turn went on in the idle sequence's own cells; its end is still there to return to.
TEST_P(Snapshots, AnEarlierTurnsEndCanBeReturnedTo) {
  Rig rig(options());
  rig.run(text(500, 'a'));
  rig.run(text(500, 'a') + text(300, 'b'));
  EXPECT_EQ(rig.run(text(500, 'a') + text(20, 'c')).tokens(), 500);
}

TEST_P(Snapshots, FarBeyondTheWindowAForkIsStillRight) {
  Rig rig(options());
  const auto head = text(700, 'h');
  auto parent = rig.restored(head + text(2000, 'p'));
  rig.compute(parent.lease, head + text(2000, 'p'), 700);
  rig.cache->boundary(parent.lease);
  rig.compute(parent.lease, head + text(2000, 'p'), 2700);
  const auto child = rig.run(head + text(50, 'c'));
  EXPECT_EQ(child.tokens(), 700);
  rig.compute(parent.lease, head + text(2000, 'p') + text(5, 'q'), 2705);
}

TEST_P(Snapshots, ARestartReusesToTheLastBoundary) {
  MemoryStore store;
  const auto head = text(700, 'h');
  {
    Rig rig(options(&store));
    rig.run(head + text(100, 'a'), {700});
    rig.rest();
  }
  Rig rig(options(&store));
  EXPECT_EQ(rig.run(head + text(100, 'a') + text(20, 'b')).disk_tokens, 800) << "the end of the turn";
  Rig other(options(&store));
  EXPECT_EQ(other.run(head + text(100, 'x')).disk_tokens, 700) << "the end of the head";
}

TEST_P(Snapshots, ADamagedSnapshotFallsBackToTheOneBefore) {
  MemoryStore store;
  const auto head = text(700, 'h');
  {
    Rig rig(options(&store));
    rig.run(head + text(100, 'a'), {700});
    rig.rest();
  }
  for (const auto& [id, record] : store.records) {
    const auto end = record.info.begin + static_cast<std::int32_t>(record.info.tokens.size());
    if (id.kind == RecordKind::snapshot && end == 800) store.damaged.insert(id);
  }
  Rig rig(options(&store));
  EXPECT_EQ(rig.run(head + text(100, 'a') + text(20, 'b')).tokens(), 700);
}

TEST_P(Snapshots, OldOnesThinOutAndTheNewestStay) {
  Rig rig({.cells = 65'536, .memory_bytes = 1 << 26, .state = GetParam()});
  std::vector<TokenId> prompt;
  for (int turn = 0; turn < 200; ++turn) {
    prompt = prompt + text(100, static_cast<char>('a' + turn % 26));
    rig.run(prompt);
  }
  const auto states = rig.cache->tree().states(rig.cache->root(""), prompt);
  EXPECT_LT(states.size(), 30U);
  EXPECT_GE(states.size(), 8U);
  EXPECT_EQ(states[0]->end(), 20'000);
  EXPECT_EQ(states[1]->end(), 19'900);
  for (std::size_t i = 2; i < states.size(); ++i) {
    const std::int32_t above = states[i - 1]->end();
    EXPECT_LE(above - states[i]->end(), (20'000 - states[i]->end()) / 2 + 200)
        << "no hole is wider than its age allows";
  }
}

TEST_P(Snapshots, MoreConversationsThanSequencesComeBackWhole) {
  Rig rig(options());
  for (int round = 0; round < 2; ++round) {
    for (const char c : {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}) {
      const auto reused = rig.run(text(300, c) + text(static_cast<std::size_t>(20 * round), 'z'));
      if (round == 1) {
        EXPECT_EQ(reused.tokens(), 300) << c;
      }
    }
  }
}

TEST_P(Snapshots, APreemptedSequenceResumesWhereItWas) {
  Rig rig(options());
  const auto prompt = text(1000, 'a');
  auto first = rig.restored(prompt);
  rig.compute(first.lease, prompt, 600);
  rig.cache->preempt(std::move(first.lease));
  EXPECT_EQ(rig.cache->used_cells(), 0);
  const auto again = rig.restored(prompt);
  EXPECT_EQ(again.reused.tokens(), 600);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Snapshots, testing::Values("sliding_window", "hybrid", "recurrent"),
                         [](const auto& kind) { return std::string(kind.param); });

}  // namespace
}  // namespace kvern::cache
