#include "schedule/fair_share.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace kvern::schedule {
namespace {

constexpr std::int32_t kStep = FairShare::kTokensOfDebt;

TEST(FairShare, WhoHadMoreIsInDebtToWhoHadLess) {
  FairShare shares;
  auto& big = shares.enter("a", "");
  auto& small = shares.enter("b", "");
  shares.computed(big, 3 * kStep);
  shares.computed(small, kStep / 2);
  EXPECT_EQ(shares.debt(big), 2);
  EXPECT_EQ(shares.debt(small), 0);
  shares.leave(small);
  EXPECT_EQ(shares.debt(big), 0) << "alone, nobody is owed";
}

TEST(FairShare, SubAgentsCountForTheirSession) {
  FairShare shares;
  auto& parent = shares.enter("claude:s", "");
  EXPECT_EQ(&shares.enter("claude:s/agent", ""), &parent);
  EXPECT_NE(&shares.enter("claude:s", "another key"), &parent);
}

TEST(FairShare, APauseSavesNothingUp) {
  FairShare shares;
  auto& busy = shares.enter("busy", "");
  shares.computed(busy, 10 * kStep);
  auto& late = shares.enter("late", "");
  EXPECT_EQ(shares.debt(busy), 0) << "the newcomer starts beside it";
  shares.computed(late, 2 * kStep);
  EXPECT_EQ(shares.debt(late), 2);
}

TEST(FairShare, ANewcomerIsNotOwedWhatOthersHadBeforeItCame) {
  FairShare shares;
  auto& old = shares.enter("old", "");
  shares.computed(old, 100 * kStep);
  shares.leave(old);
  auto& fresh = shares.enter("fresh", "");
  shares.enter("old", "");
  EXPECT_EQ(shares.debt(old), 0);
  shares.computed(fresh, kStep);
  EXPECT_EQ(shares.debt(fresh), 1);
}

// An agent's requests come one after the other: between two of them it has none.
TEST(FairShare, APauseForgivesNothing) {
  FairShare shares;
  auto& small = shares.enter("small", "");
  auto& big = shares.enter("big", "");
  shares.computed(big, 5 * kStep);
  shares.leave(big);
  EXPECT_EQ(shares.debt(shares.enter("big", "")), 5);
  EXPECT_EQ(shares.debt(small), 0);
}

TEST(FairShare, RemembersSoManyClientsOnly) {
  FairShare shares;
  auto& first = shares.enter("first", "");
  for (std::size_t i = 0; i < 2 * limits::kClients; ++i) shares.leave(shares.enter(std::to_string(i), ""));
  EXPECT_EQ(shares.clients(), limits::kClients);
  EXPECT_EQ(&shares.enter("first", ""), &first);
}

}  // namespace
}  // namespace kvern::schedule
