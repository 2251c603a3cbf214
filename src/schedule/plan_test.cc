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

PlanItem prefill(std::int32_t pending, std::optional<double> token_us = 100) {
  PlanItem item{pending, false, false, {}, {token_us, 16, INT32_MAX}};
  item.claim.work = pending;
  return item;
}

// What a step of decoding takes is measured: ten milliseconds, say, of which half may be added.
constexpr PlanLimits kHalfMore{512, 5000};

TEST(Plan, ALonePrefillFillsTheBatch) {
  const Plan plan = plan_of({prefill(2000)});
  EXPECT_EQ(share(plan, 0), 512);
}

// The gap between two tokens of a stream is the time of one step, so prefill beside it is bounded by time.
TEST(Plan, BesideStreamsAPrefillGetsWhatTheirTimeAllows) {
  const Plan plan = plan_of({prefill(2000), {1, true, false}, {1, true, false}}, kHalfMore);
  EXPECT_EQ(share(plan, 1), 1);
  EXPECT_EQ(share(plan, 2), 1);
  EXPECT_EQ(share(plan, 0), 50);
  EXPECT_EQ(plan.tokens, 52);
  EXPECT_EQ(share(plan_of({prefill(2000, 1000), {1, true, false}}, kHalfMore), 0), 16) << "one small chunk at least";
  EXPECT_EQ(share(plan_of({prefill(2000, 0), {1, true, false}}, kHalfMore), 0), 511) << "what costs nothing";
}

TEST(Plan, WhatIsNotKnownIsMeasuredFirst) {
  EXPECT_EQ(share(plan_of({prefill(2000), {1, true, false}}, {512, {}}), 0), 0) << "a step without prefill";
  EXPECT_EQ(share(plan_of({prefill(2000, {}), {1, true, false}}, kHalfMore), 0), 16);
}

TEST(Plan, PrefillsShareAStepsTime) {
  const std::vector<PlanItem> items = {prefill(30), prefill(2000, 200), prefill(3000), {1, true, false}};
  const Plan plan = plan_of(items, kHalfMore);
  EXPECT_EQ(share(plan, 0), 30);
  EXPECT_EQ(share(plan, 1), 10) << "two milliseconds were left";
  EXPECT_EQ(share(plan, 2), 0);
}

TEST(Plan, AShortPromptOvertakesALongOneAndItsStepIsNotMadeLonger) {
  const Plan plan = plan_of({prefill(7000), prefill(300)});
  EXPECT_EQ(share(plan, 1), 300);
  EXPECT_EQ(share(plan, 0), 0);
  const Plan both = plan_of({prefill(200), prefill(300), prefill(400)});
  EXPECT_EQ(share(both, 0), 200);
  EXPECT_EQ(share(both, 1), 300) << "it ends in this step, too";
  EXPECT_EQ(share(both, 2), 0);
}

TEST(Plan, WhoWasPassedOverGoesFirst) {
  std::vector<PlanItem> items = {prefill(7000), prefill(300)};
  items[0].claim.passed = kPassedMax;
  EXPECT_EQ(share(plan_of(items), 0), 512);
  items.push_back({1, true, false});
  EXPECT_EQ(share(plan_of(items, kHalfMore), 0), 50);
}

TEST(Plan, AParkedSequenceProducesNothingAndStopsNobody) {
  const Plan plan = plan_of({{1, true, true}, {1, true, false}});
  EXPECT_EQ(share(plan, 0), 0);
  EXPECT_EQ(share(plan, 1), 1);
  EXPECT_EQ(plan_of({{1, true, true}}).tokens, 0);
}

PlanItem forced(std::int32_t pending) { return {pending, true, false, {}, 100, 16}; }

// Forced tokens come before any prefill, and other streams wait for them no longer than for one.
TEST(Plan, ForcedTokensAreComputedWithTheOneBeforeThem) {
  const Plan plan = plan_of({prefill(2000), forced(1), forced(31)}, kHalfMore);
  EXPECT_EQ(share(plan, 1), 1);
  EXPECT_EQ(share(plan, 2), 31);
  EXPECT_EQ(share(plan, 0), 20);
  EXPECT_EQ(share(plan_of({forced(1), forced(129)}, kHalfMore), 1), 51);
}

TEST(Plan, ALoneStreamGetsAllItsForcedTokens) {
  EXPECT_EQ(share(plan_of({forced(129)}, kHalfMore), 0), 129);
  EXPECT_EQ(share(plan_of({forced(129)}, {512, {}}), 0), 129);
}

// Else a grammar that forces something after every draw would keep every prompt from being computed.
TEST(Plan, WhileAPrefillWaitsForAMeasurementAStreamsForcedTokensWaitToo) {
  const Plan plan = plan_of({forced(129), prefill(2000)}, {512, {}});
  EXPECT_EQ(share(plan, 0), 1);
  EXPECT_EQ(share(plan, 1), 0);
  const Plan known = plan_of({forced(129), prefill(2000)}, kHalfMore);
  EXPECT_EQ(share(known, 0), 129);
  EXPECT_EQ(share(known, 1), 50);
}

TEST(Plan, NoRunTakesTheTokenOfAnotherSequence) {
  const Plan plan = plan_of({forced(100), forced(100), forced(1), prefill(50)}, {32, 1600});
  EXPECT_EQ(share(plan, 0), 1 + 16);
  EXPECT_EQ(share(plan, 1), 1);
  EXPECT_EQ(share(plan, 2), 1);
  EXPECT_EQ(share(plan, 3), 0);
  const Plan full = plan_of({forced(100), forced(100)}, {2, 1600});
  EXPECT_EQ(share(full, 0), 1);
  EXPECT_EQ(share(full, 1), 1);
}

TEST(Plan, NeverExceedsTheBatch) {
  std::vector<PlanItem> items(40, PlanItem{1, true, false});
  items.push_back(prefill(500));
  EXPECT_EQ(plan_of(items, {32, 5000}).tokens, 32);
}

}  // namespace
}  // namespace kvern::schedule
