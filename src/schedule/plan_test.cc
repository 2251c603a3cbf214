#include "schedule/plan.h"

#include <gtest/gtest.h>

namespace kvern::schedule {
namespace {

Plan plan_of(const std::vector<PlanItem>& items, PlanLimits limits = {}) {
  Plan plan;
  make_plan(items, limits, plan);
  return plan;
}

std::int32_t share(const Plan& plan, std::size_t item) {
  for (const PlanShare& s : plan.shares) {
    if (s.item == item) return s.tokens;
  }
  return 0;
}

TEST(Plan, ALonePrefillFillsTheBatch) {
  const Plan plan = plan_of({{2000, false, false}});
  EXPECT_EQ(share(plan, 0), 512);
}

// The gap between two tokens of a stream is the time of one step, so prefill beside it is bounded.
TEST(Plan, DecodesAllGetTheirTokenAndPrefillBesideThemIsBounded) {
  const Plan plan = plan_of({{2000, false, false}, {1, true, false}, {1, true, false}});
  EXPECT_EQ(share(plan, 1), 1);
  EXPECT_EQ(share(plan, 2), 1);
  EXPECT_EQ(share(plan, 0), 128);
  EXPECT_EQ(plan.tokens, 130);
}

TEST(Plan, PrefillsShareTheBatchInOrderOfArrival) {
  const Plan plan = plan_of({{300, false, false}, {300, false, false}, {300, false, false}});
  EXPECT_EQ(share(plan, 0), 300);
  EXPECT_EQ(share(plan, 1), 212);
  EXPECT_EQ(share(plan, 2), 0);
}

TEST(Plan, AParkedSequenceProducesNothingAndStopsNobody) {
  const Plan plan = plan_of({{1, true, true}, {1, true, false}});
  EXPECT_EQ(share(plan, 0), 0);
  EXPECT_EQ(share(plan, 1), 1);
  EXPECT_EQ(plan_of({{1, true, true}}).tokens, 0);
}

// Forced tokens come before any prefill, and are bounded as one is.
TEST(Plan, ForcedTokensAreComputedWithTheOneBeforeThem) {
  const Plan plan = plan_of({{2000, false, false}, {1, true, false}, {60, true, false}});
  EXPECT_EQ(share(plan, 1), 1);
  EXPECT_EQ(share(plan, 2), 60);
  EXPECT_EQ(share(plan, 0), 128 - 59);
  EXPECT_EQ(share(plan_of({{129, true, false}}), 0), 129);
}

TEST(Plan, NoRunTakesTheTokenOfAnotherSequence) {
  const Plan plan = plan_of({{100, true, false}, {100, true, false}, {1, true, false}, {50, false, false}}, {32, 16});
  EXPECT_EQ(share(plan, 0), 1 + 16);
  EXPECT_EQ(share(plan, 1), 1);
  EXPECT_EQ(share(plan, 2), 1);
  EXPECT_EQ(share(plan, 3), 0);
  const Plan full = plan_of({{100, true, false}, {100, true, false}}, {2, 16});
  EXPECT_EQ(share(full, 0), 1);
  EXPECT_EQ(share(full, 1), 1);
}

TEST(Plan, NeverExceedsTheBatch) {
  std::vector<PlanItem> items(40, PlanItem{1, true, false});
  items.push_back({500, false, false});
  EXPECT_EQ(plan_of(items, {32, 16}).tokens, 32);
}

}  // namespace
}  // namespace kvern::schedule
