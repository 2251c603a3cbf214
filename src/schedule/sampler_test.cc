#include "schedule/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvern::schedule {
namespace {

SamplingParams plain(float temperature) {
  SamplingParams params;
  params.temperature = temperature;
  params.top_k = 0;
  params.top_p = 1;
  params.min_p = 0;
  params.seed = 42;
  return params;
}

std::vector<float> some_logits(std::size_t n) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

std::vector<double> frequencies(Sampler& sampler, const std::vector<float>& logits, int draws,
                                std::span<const std::uint32_t> mask = {}) {
  std::vector<double> counts(logits.size());
  for (int i = 0; i < draws; ++i) ++counts[static_cast<std::size_t>(sampler.draw(logits, mask))];
  for (double& count : counts) count /= draws;
  return counts;
}

TEST(Sampler, TemperatureZeroTakesTheBestAndTheLowerIdOfEquals) {
  Sampler sampler(plain(0), 1);
  EXPECT_EQ(sampler.draw(std::vector<float>{1, 5, 5, 2}, {}), 1);
}

// Statistical: 20,000 draws against the softmax, tolerance 5 standard errors.
TEST(Sampler, DrawsFollowTheSoftmaxAtItsTemperature) {
  const auto logits = some_logits(20);
  for (const float temperature : {0.5F, 1.0F, 1.7F}) {
    Sampler sampler(plain(temperature), 1);
    const auto seen = frequencies(sampler, logits, 20'000);
    double total = 0;
    for (const float logit : logits) total += std::exp(logit / temperature);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double p = std::exp(logits[i] / temperature) / total;
      EXPECT_NEAR(seen[i], p, 5 * std::sqrt(p * (1 - p) / 20'000) + 1e-4) << i;
    }
  }
}

TEST(Sampler, TopKDrawsOnlyFromTheKBest) {
  const auto logits = some_logits(5000);
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  auto params = plain(5);
  params.top_k = 7;
  Sampler sampler(params, 1);
  const auto seen = frequencies(sampler, logits, 5000);
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    if (rank < 7) {
      EXPECT_GT(seen[order[rank]], 0) << rank;
    } else {
      ASSERT_EQ(seen[order[rank]], 0) << rank;
    }
  }
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  // Probabilities 0.5, 0.3, 0.15, 0.05.
  const std::vector<float> logits{std::log(0.5F), std::log(0.3F), std::log(0.15F), std::log(0.05F)};
  auto params = plain(1);
  params.top_p = 0.75F;
  Sampler sampler(params, 1);
  const auto seen = frequencies(sampler, logits, 4000);
  EXPECT_NEAR(seen[0], 0.625, 0.05);
  EXPECT_NEAR(seen[1], 0.375, 0.05);
  EXPECT_EQ(seen[2] + seen[3], 0);
}

TEST(Sampler, MinPDropsWhatIsUnlikelyBesideTheBest) {
  const std::vector<float> logits{std::log(0.6F), std::log(0.3F), std::log(0.1F)};
  auto params = plain(1);
  params.min_p = 0.25F;
  Sampler sampler(params, 1);
  EXPECT_EQ(frequencies(sampler, logits, 2000)[2], 0);
}

TEST(Sampler, AMaskIsNeverLeftWhateverTheOtherFilters) {
  const auto logits = some_logits(200);
  std::vector<std::uint32_t> mask(7, 0);
  const auto allow = [&](std::size_t token) { mask[token / 32] |= 1U << (token % 32); };
  allow(3);
  allow(77);
  allow(199);
  for (const std::int32_t top_k : {0, 1, 40}) {
    auto params = plain(1.5F);
    params.top_k = top_k;
    params.top_p = 0.9F;
    Sampler sampler(params, 1);
    const auto seen = frequencies(sampler, logits, 500, mask);
    EXPECT_DOUBLE_EQ(seen[3] + seen[77] + seen[199], 1.0);
  }
  Sampler greedy(plain(0), 1);
  const TokenId best = greedy.draw(logits, mask);
  EXPECT_TRUE(best == 3 || best == 77 || best == 199);
  EXPECT_EQ(greedy.draw(logits, std::vector<std::uint32_t>(7, 0)), -1);
}

TEST(Sampler, ASeedReproducesItsDraws) {
  const auto logits = some_logits(3000);
  SamplingParams params;
  params.seed = 9;
  Sampler a(params, 1);
  Sampler b(params, 2);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(a.draw(logits, {}), b.draw(logits, {}));
}

TEST(Sampler, PenaltiesAndBiasMoveTheBestToken) {
  const std::vector<float> logits{2.0F, 1.9F, 1.0F};
  auto repeat = plain(0);
  repeat.repeat_penalty = 1.5F;
  Sampler sampler(repeat, 1);
  EXPECT_EQ(sampler.draw(logits, {}), 0);
  sampler.remember(0, false);
  EXPECT_EQ(sampler.draw(logits, {}), 1);

  auto window = repeat;
  window.repeat_last_n = 2;
  Sampler forgetful(window, 1);
  for (const TokenId token : {0, 1, 1}) forgetful.remember(token, false);
  EXPECT_EQ(forgetful.draw(logits, {}), 0) << "token 0 has left the window";

  auto frequency = plain(0);
  frequency.frequency_penalty = 0.5F;
  Sampler counting(frequency, 1);
  counting.remember(0, false);
  EXPECT_EQ(counting.draw(logits, {}), 0) << "prompt tokens do not count";
  counting.remember(0, true);
  EXPECT_EQ(counting.draw(logits, {}), 1);

  auto bias = plain(0);
  bias.logit_bias = {{2, 5.0F}, {99, 5.0F}};
  EXPECT_EQ(Sampler(bias, 1).draw(logits, {}), 2);
}

TEST(Sampler, LogprobsAreNormalisedOverTheRawLogits) {
  auto params = plain(0.3F);
  params.top_logprobs = 2;
  Sampler sampler(params, 1);
  const std::vector<float> logits{std::log(0.7F), std::log(0.2F), std::log(0.1F)};
  const StepLogprobs result = sampler.logprobs(logits, 1);
  EXPECT_NEAR(result.drawn.logprob, std::log(0.2), 1e-5);
  ASSERT_EQ(result.best.size(), 2U);
  EXPECT_EQ(result.best[0].token, 0);
  EXPECT_NEAR(result.best[1].logprob, std::log(0.2), 1e-5);
}

}  // namespace
}  // namespace kvern::schedule
