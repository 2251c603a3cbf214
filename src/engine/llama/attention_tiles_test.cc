#include "engine/llama/attention_tiles.h"

#include <gtest/gtest.h>

namespace kvern::engine {
namespace {

TEST(AttentionTiles, APartThatEndsInATileWastesItsRest) {
  EXPECT_DOUBLE_EQ(attention_cost(128, 32, 2), 1);
  EXPECT_DOUBLE_EQ(attention_cost(512, 9, 2), 1);
  // Nine heads of 128 rows in eight parts of 144: each is two full tiles and one of 16, or cut worse.
  EXPECT_DOUBLE_EQ(attention_cost(128, 9, 2), 24.0 * 64 / (128 * 9));
  EXPECT_DOUBLE_EQ(attention_cost(64, 1, 1), 1);
  EXPECT_DOUBLE_EQ(attention_cost(65, 1, 1), 2.0 * 64 / 65);
}

TEST(AttentionTiles, AStepIsLongerOnlyWhereThatFillsTiles) {
  EXPECT_EQ(efficient_batch(32, 8), 128);
  EXPECT_EQ(efficient_batch(4, 2), 128);
  EXPECT_EQ(efficient_batch(16, 6), 192);
  EXPECT_EQ(efficient_batch(9, 2), 256) << "SmolLM2 on two cores";
  EXPECT_EQ(efficient_batch(14, 2), 256);
}

TEST(AttentionTiles, AnyModelAndMachineHasAStep) {
  for (std::int32_t heads = 0; heads <= 128; ++heads) {
    for (std::int32_t threads = 0; threads <= 128; ++threads) {
      const std::int32_t tokens = efficient_batch(heads, threads);
      EXPECT_TRUE(tokens >= 128 && tokens <= 256) << heads << " heads, " << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace kvern::engine
