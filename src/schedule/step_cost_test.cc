#include "schedule/step_cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace kvern::schedule {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;

std::optional<double> token_us(const StepCost& cost, std::int32_t depth) { return cost.chunk(depth, 0).token_us; }

TEST(StepCost, IsUnknownUntilMeasured) {
  StepCost cost;
  EXPECT_FALSE(cost.decode_us(1));
  EXPECT_FALSE(token_us(cost, 0));
  cost.measured({0, 8, 0}, 8000);
  EXPECT_FALSE(token_us(cost, 0)) << "eight tokens alone are mostly overhead";
}

TEST(StepCost, APromptTokenCostsWhatItAddsToTheStreamsStep) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  EXPECT_EQ(cost.decode_us(1), 10'000);
  cost.measured({0, 500, 0}, 50'000);
  EXPECT_EQ(token_us(cost, 0), 100) << "nothing was measured beside a stream yet";
  for (int i = 0; i < 3; ++i) cost.measured({1, 20, 0}, 14'000);
  EXPECT_EQ(token_us(cost, 0), 200);
}

TEST(StepCost, AnOutlierChangesNothing) {
  StepCost cost;
  for (const int us : {10'000, 10'000, 900'000, 10'000}) cost.measured({1, 0, 0}, us);
  EXPECT_EQ(cost.decode_us(1), 10'000);
  for (const int us : {12'000, 400'000, 12'000}) cost.measured({1, 10, 0}, us);
  EXPECT_EQ(token_us(cost, 0), 200);
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
  EXPECT_EQ(token_us(cost, 0), 100);
  EXPECT_EQ(token_us(cost, 2000), 100) << "as the nearest shallower one";
  EXPECT_EQ(token_us(cost, 10'000), 500);
  EXPECT_EQ(token_us(cost, 100'000), 500);
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

// In a full batch a token costs one millisecond, beside a stream ten, unless 64 come at once.
TEST(StepCost, WhereSmallChunksAreDearTheyGrow) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({0, 500, 4000}, 500'000);
  std::vector<int> tried;
  for (int i = 0; i < 12; ++i) {
    const int tokens = cost.chunk(4000, 5000).least;
    if (tried.empty() || tried.back() != tokens) tried.push_back(tokens);
    cost.measured({1, tokens, 4000}, 10'000 + tokens * (tokens < 64 ? 10'000 : 1000));
  }
  EXPECT_THAT(tried, ElementsAre(4, 16, 64)) << "what would fit, then what is worth a place";
  EXPECT_EQ(cost.chunk(20'000, 5000).least, 64) << "deeper ones are no cheaper";
}

TEST(StepCost, WhereEveryTokenCostsTheSameOneIsEnough) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({0, 500, 0}, 3'000'000);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(cost.chunk(0, 5000).least, 1);
    cost.measured({1, 1, 0}, 16'000);
  }
}

// A token costs four times as much at a depth of 4,000, however it is computed; only shallow batches were measured.
TEST(StepCost, AShallowBatchDoesNotMakeDeepTokensLookDear) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({0, 100, 50}, 300'000);
  for (int i = 0; i < 5; ++i) cost.measured({1, 1, 100}, 14'000);
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(cost.chunk(4000, 5000).least, 1);
    cost.measured({1, 1, 4000}, 26'000);
  }
}

// The first token costs three milliseconds, each further one a half: not known from chunks of one.
TEST(StepCost, ALargerChunkThatFitsIsFound) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({0, 500, 0}, 250'000);
  for (int i = 0; i < 3; ++i) cost.measured({1, 1, 0}, 13'500);
  for (int i = 0; i < 9; ++i) {
    const StepCost::Chunk chunk = cost.chunk(0, 5000);
    const int tokens = std::max(chunk.least, static_cast<int>(5000 / *chunk.token_us));
    cost.measured({1, tokens, 0}, 13'000 + 500 * tokens);
    EXPECT_THAT(tokens, AllOf(Ge(4), Le(10)));
  }
}

// One token among many that added nothing, by chance: that is no price for a batch.
TEST(StepCost, ACheapTokenDoesNotMakeManyCheap) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({0, 500, 0}, 3'000'000);
  cost.measured({1, 1, 0}, 10'000);
  const StepCost::Chunk chunk = cost.chunk(0, 5000);
  EXPECT_EQ(chunk.least, 1);
  EXPECT_EQ(chunk.most, 3);
}

TEST(StepCost, AFewTokensThatFitAreNotWorthMuchMoreThanManyCost) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  for (const auto& [tokens, us] : {std::pair{1, 4000}, {4, 1300}, {16, 500}, {64, 125}})
    for (int i = 0; i < 3; ++i) cost.measured({1, tokens, 0}, 10'000 + tokens * us);
  EXPECT_EQ(cost.chunk(0, 5000).least, 16);
  EXPECT_EQ(cost.chunk(0, 9000).least, 64);
}

// A busy machine made all but the largest chunks look dear.
TEST(StepCost, ASizeThatWasDearIsTriedAgain) {
  StepCost cost;
  cost.measured({1, 0, 0}, 10'000);
  cost.measured({0, 500, 0}, 500'000);
  for (const int tokens : {1, 4, 16}) {
    for (int i = 0; i < 3; ++i) cost.measured({1, tokens, 0}, 10'000 + 10'000 * tokens);
  }
  EXPECT_EQ(cost.chunk(0, 5000).least, 64);
  for (int i = 0; i < 1024; ++i) cost.measured({1, 64, 0}, 74'000);
  EXPECT_EQ(cost.chunk(0, 5000).least, 4);
}

}  // namespace
}  // namespace kvern::schedule
