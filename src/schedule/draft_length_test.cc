#include "schedule/draft_length.h"

#include <gtest/gtest.h>

#include "schedule/step_cost.h"

namespace kvern::schedule {
namespace {

// A step takes 1000 us and each further row `row_us`.
StepCost cost_of(double row_us) {
  StepCost cost;
  for (int n = 0; n < 5; ++n) {
    for (std::int32_t drafted = 0; drafted <= 32; ++drafted)
      cost.measured({.decoding = 1, .beside = 0, .depth = 0, .drafted = drafted},
                    1000 + static_cast<std::int64_t>(row_us * drafted));
  }
  return cost;
}

DraftLength judged(std::int32_t matched, std::int32_t drafted, std::int32_t right, int times) {
  DraftLength length;
  for (int i = 0; i < times; ++i) length.judged(matched, drafted, right);
  return length;
}

std::int32_t choose(DraftLength& length, std::int32_t matched, std::int32_t tokens_max, DraftLength::Step step,
                    const StepCost& cost) {
  return length.add_to(step, matched, tokens_max, cost);
}

TEST(DraftLength, WhereGuessesAreRightAndRowsCheapDraftsAreLong) {
  const StepCost cost = cost_of(30);
  DraftLength length = judged(20, 16, 16, 10);
  EXPECT_EQ(choose(length, 20, 16, {}, cost), 16);
}

TEST(DraftLength, WhereGuessesAreWrongNothingIsDraftedButATryNowAndThen) {
  const StepCost cost = cost_of(300);
  DraftLength length = judged(3, 4, 0, 40);
  int drafts = 0;
  for (int i = 0; i < 480; ++i) {
    const std::int32_t n = choose(length, 3, 16, {}, cost);
    EXPECT_LE(n, 1);
    drafts += n;
  }
  EXPECT_GT(drafts, 0);
  EXPECT_LE(drafts, 10);
}

TEST(DraftLength, ADearRowMakesDraftsShorter) {
  const StepCost cheap = cost_of(50);
  const StepCost dear = cost_of(400);
  DraftLength length = judged(8, 8, 6, 20);
  const std::int32_t many = choose(length, 8, 16, {}, cheap);
  const std::int32_t few = choose(length, 8, 16, {}, dear);
  EXPECT_GT(many, few);
}

TEST(DraftLength, WithManyStreamsAGuessMustPayForAllOfThem) {
  const StepCost cost = cost_of(300);
  DraftLength length = judged(8, 8, 6, 20);
  EXPECT_GT(choose(length, 8, 16, {.rows = 1, .tokens = 1, .us_max = 0}, cost),
            choose(length, 8, 16, {.rows = 8, .tokens = 8, .us_max = 0}, cost));
}

TEST(DraftLength, AStepMayNotTakeLongerThanOthersWait) {
  const StepCost cost = cost_of(50);
  DraftLength length = judged(20, 16, 16, 10);
  EXPECT_EQ(choose(length, 20, 16, {.rows = 2, .tokens = 2, .us_max = 1250}, cost), 4);
}

TEST(DraftLength, OneSlowStepDoesNotEndGuessing) {
  StepCost cost;
  for (int n = 0; n < 5; ++n) cost.measured({.decoding = 2, .beside = 0}, 1000);
  cost.measured({.decoding = 2, .beside = 0, .depth = 0, .drafted = 1}, 3000);
  DraftLength length = judged(20, 16, 16, 10);
  int drafts = 0;
  for (int i = 0; i < 500; ++i) {
    const std::int32_t drafted = choose(length, 20, 16, {.rows = 2, .tokens = 2, .us_max = 1500}, cost);
    drafts += drafted;
    if (drafted > 0) cost.measured({.decoding = 2, .beside = 0, .depth = 0, .drafted = drafted}, 1000 + 20 * drafted);
  }
  EXPECT_GT(drafts, 1000);
}

TEST(DraftLength, ChancesOfLongAndShortAgreementsAreLearnedApart) {
  DraftLength length = judged(3, 4, 0, 40);
  for (int i = 0; i < 10; ++i) length.judged(20, 16, 16);
  EXPECT_LT(length.chance(4), 0.05);
  EXPECT_GT(length.chance(30), 0.95);
}

TEST(DraftLength, WhatNobodyMeasuredIsNotBetOn) {
  DraftLength length;
  EXPECT_EQ(choose(length, 20, 16, {}, StepCost()), 0);
}

}  // namespace
}  // namespace kvern::schedule
