#include "schedule/prompt_lookup.h"

#include <gtest/gtest.h>

#include <numeric>

namespace kvern::schedule {
namespace {

using Tokens = std::vector<TokenId>;

PromptLookup::Guess guess(const Tokens& tokens) {
  PromptLookup lookup(tokens.size());
  lookup.add(tokens);
  return lookup.find(tokens);
}

TEST(PromptLookup, GuessesWhatFollowedTheSameTokensBefore) {
  const auto found = guess({1, 2, 3, 4, 5, 6, 2, 3, 4});
  EXPECT_EQ(found.from, 4U);  // the 5
  EXPECT_EQ(found.matched, 3);
}

TEST(PromptLookup, TwoTokensInARowSayNothing) {
  EXPECT_EQ(guess({1, 2, 3, 4, 9, 3, 4}).matched, 0);
  EXPECT_EQ(guess({}).matched, 0);
  EXPECT_EQ(guess({1, 1}).matched, 0);
}

TEST(PromptLookup, TheLongestAgreementWinsOverTheLatest) {
  const auto found = guess({7, 1, 2, 3, 50, 8, 1, 2, 3, 60, 7, 1, 2, 3});
  EXPECT_EQ(found.from, 4U);  // 50: there the 7 agreed, too
  EXPECT_EQ(found.matched, 4);
}

TEST(PromptLookup, OfEquallyLongOnesTheLatestWins) { EXPECT_EQ(guess({1, 2, 3, 50, 1, 2, 3, 60, 1, 2, 3}).from, 7U); }

TEST(PromptLookup, WhereItWasRightItGoesOnHoweverOftenTheSameTokensOccurred) {
  // Forty lines that end alike: the table alone would offer the latest of them.
  Tokens tokens;
  for (TokenId line = 0; line < 40; ++line) tokens.insert(tokens.end(), {100 + line, 1, 2, 3});
  const std::size_t size = tokens.size();
  PromptLookup lookup(size + 64);
  tokens.insert(tokens.end(), {100, 1, 2, 3, 101, 1, 2, 3});
  lookup.add(tokens);
  ASSERT_EQ(lookup.find(tokens).from, 8U);
  for (TokenId line = 2; line < 10; ++line) {
    tokens.insert(tokens.end(), {100 + line, 1, 2, 3});
    lookup.add(tokens);
    EXPECT_EQ(lookup.find(tokens).from, 4 * static_cast<std::size_t>(line + 1));
  }
}

TEST(PromptLookup, ARepetitionIsGuessedToGoOn) {
  const auto found = guess({5, 5, 5, 5, 5, 5});
  EXPECT_EQ(found.from, 5U);
  EXPECT_EQ(found.matched, 5);
}

TEST(PromptLookup, GrowsBeyondWhatItWasMadeFor) {
  PromptLookup lookup(4);
  Tokens tokens(5000);
  std::iota(tokens.begin(), tokens.end(), 0);
  tokens.insert(tokens.end(), {4990, 4991, 4992, 4993});
  lookup.add(tokens);
  EXPECT_EQ(lookup.find(tokens).from, 4994U);
}

}  // namespace
}  // namespace kvern::schedule
