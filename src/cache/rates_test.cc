#include "cache/rates.h"

#include <gtest/gtest.h>

namespace kvern::cache {
namespace {

TEST(Rates, KnowNothingUntilSomethingWasComputed) {
  const Rates rates;
  EXPECT_EQ(rates.compute_ms(0, 1000), 0);
  EXPECT_EQ(rates.tokens_per_s(), 0);
}

TEST(Rates, DepthsAreMeasuredApart) {
  Rates rates;
  rates.computed(0, 100, 100'000);     // 1 ms a token
  rates.computed(8192, 100, 400'000);  // 4 ms a token
  EXPECT_DOUBLE_EQ(rates.compute_ms(0, 100), 100);
  EXPECT_DOUBLE_EQ(rates.compute_ms(8192, 8292), 400);
  EXPECT_DOUBLE_EQ(rates.compute_ms(100, 8192), 8092) << "between them the shallower one stands in";
}

TEST(Rates, FewTokensSayNothing) {
  Rates rates;
  rates.computed(0, 1, 50'000);
  EXPECT_EQ(rates.compute_ms(0, 10), 0);
}

TEST(Rates, ReadsAreMeasured) {
  Rates rates;
  const double before = rates.read_ms(1'000'000'000);
  rates.read(1'000'000, 100'000);  // 10 MB/s
  EXPECT_GT(rates.read_ms(1'000'000'000), before * 10);
  EXPECT_DOUBLE_EQ(rates.disk_bytes_per_s(), 1e7);
}

}  // namespace
}  // namespace kvern::cache
