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

TEST(Plan, NeverExceedsTheBatch) {
  std::vector<PlanItem> items(40, PlanItem{1, true, false});
  items.push_back({500, false, false});
  EXPECT_EQ(plan_of(items, {32, 16}).tokens, 32);
}

}  // namespace
}  // namespace kvern::schedule
