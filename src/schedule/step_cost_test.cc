#include "schedule/step_cost.h"

#include <gtest/gtest.h>

namespace kvern::schedule {
namespace {

TEST(StepCost, IsUnknownUntilMeasured) {
  StepCost cost;
  EXPECT_FALSE(cost.decode_us(1));
  EXPECT_FALSE(cost.token_us(0));
  cost.measured({0, 8, 0}, 8000);
  EXPECT_FALSE(cost.token_us(0)) << "eight tokens alone are mostly overhead";
}

TEST(StepCost, APromptTokenCostsWhatItAddsToTheStreamsStep) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  EXPECT_EQ(cost.decode_us(1), 10'000);
  cost.measured({0, 500, 0}, 50'000);
  EXPECT_EQ(cost.token_us(0), 100) << "nothing was measured beside a stream yet";
  cost.measured({1, 20, 0}, 14'000);
  EXPECT_EQ(cost.token_us(0), 200);
}

TEST(StepCost, AnOutlierChangesNothing) {
  StepCost cost;
  for (const int us : {10'000, 10'000, 900'000, 10'000}) cost.measured({1, 0, 0}, us);
  EXPECT_EQ(cost.decode_us(1), 10'000);
  for (const int us : {12'000, 400'000, 12'000}) cost.measured({1, 10, 0}, us);
  EXPECT_EQ(cost.token_us(0), 200);
}

TEST(StepCost, WhatLastsIsFollowed) {
  StepCost cost;
  for (int i = 0; i < 5; ++i) cost.measured({1, 0, 0}, 10'000);
  for (int i = 0; i < 3; ++i) cost.measured({1, 0, 0}, 30'000);
  EXPECT_EQ(cost.decode_us(1), 30'000);
}

TEST(StepCost, DeepTokensAreMeasuredApart) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({1, 10, 100}, 11'000);
  cost.measured({1, 10, 9000}, 15'000);
  EXPECT_EQ(cost.token_us(0), 100);
  EXPECT_EQ(cost.token_us(2000), 100) << "as the nearest shallower one";
  EXPECT_EQ(cost.token_us(10'000), 500);
  EXPECT_EQ(cost.token_us(100'000), 500);
}

TEST(StepCost, ACrowdOfStreamsIsMeasuredApart) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  EXPECT_FALSE(cost.decode_us(4)) << "one such step is for measuring";
  cost.measured({4, 0, 0}, 16'000);
  EXPECT_EQ(cost.decode_us(4), 16'000);
  EXPECT_EQ(cost.decode_us(1), 10'000);
}

// A stream grows slower as it grows longer, and a long prompt beside it may take thousands of steps.
TEST(StepCost, AnOldFigureIsMeasuredAgain) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  int steps = 0;
  for (; cost.decode_us(1) && steps < 1000; ++steps) cost.measured({1, 10, 0}, 11'000);
  EXPECT_EQ(steps, 32);
  cost.measured({1, 0, 0}, 10'000);
  EXPECT_TRUE(cost.decode_us(1));
}

// In a full batch a token costs one millisecond, beside a stream and with few others ten.
TEST(StepCost, WhereSmallChunksAreDearTheyGrow) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({0, 500, 4000}, 500'000);
  EXPECT_EQ(cost.chunk_min(4000), 4);
  for (int i = 0; i < 3; ++i) cost.measured({1, 4, 4000}, 50'000);
  EXPECT_EQ(cost.chunk_min(4000), 64);
  EXPECT_EQ(cost.chunk_min(100), 4) << "shallow ones may be cheap";
  EXPECT_EQ(cost.chunk_min(20'000), 64) << "deeper ones will not";
  for (int i = 0; i < 9; ++i) cost.measured({1, 64, 4000}, 650'000);
  EXPECT_EQ(cost.chunk_min(4000), 64) << "that is as far as it goes";
}

TEST(StepCost, WhereSmallChunksAreCheapTheyStaySmall) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({0, 500, 0}, 500'000);
  for (int i = 0; i < 9; ++i) cost.measured({1, 4, 0}, 25'000);
  EXPECT_EQ(cost.chunk_min(0), 4);
}

}  // namespace
}  // namespace kvern::schedule
