#include "schedule/reasoning_budget.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace kvern::schedule {
namespace {

ReasoningLimit limit_of(std::int32_t tokens) {
  ReasoningLimit limit;
  limit.tokens_max = tokens;
  limit.begin = "<think>";
  limit.end = "</think>";
  limit.close = {7, 8, 9};
  return limit;
}

ReasoningLimit opened(std::int32_t tokens) {
  ReasoningLimit limit = limit_of(tokens);
  limit.open = true;
  return limit;
}

// After how many of these tokens the close is due, or -1.
int due_after(ReasoningLimit limit, std::initializer_list<std::string_view> tokens) {
  ReasoningBudget budget(std::move(limit));
  if (budget.due()) return 0;
  int seen = 0;
  for (const std::string_view token : tokens) {
    budget.saw(token);
    ++seen;
    if (budget.due()) return seen;
  }
  return -1;
}

TEST(ReasoningBudget, ABlockThePromptOpenedCountsFromTheFirstToken) {
  EXPECT_EQ(due_after(opened(0), {}), 0);
  EXPECT_EQ(due_after(opened(1), {"a", "b"}), 1);
  EXPECT_EQ(due_after(opened(3), {"a", "b", "c", "d"}), 3);
}

TEST(ReasoningBudget, ABlockTheModelOpensCountsAfterItsMarker) {
  EXPECT_EQ(due_after(limit_of(0), {"<think>", "a"}), 1);
  EXPECT_EQ(due_after(limit_of(2), {" \n", "<th", "ink", ">", "a", "b", "c"}), 6);
  EXPECT_EQ(due_after(limit_of(1), {"\n<think>\n", "a", "b"}), 2);
}

TEST(ReasoningBudget, AMarkerThatIsNotAtTheTurnsStartOpensNothing) {
  EXPECT_EQ(due_after(limit_of(0), {"Hello ", "<think>", "a"}), -1);
  EXPECT_EQ(due_after(limit_of(0), {"<thin", "g>", "<think>"}), -1);
}

TEST(ReasoningBudget, ABlockThatEndsInTimeIsLeftAlone) {
  EXPECT_EQ(due_after(opened(3), {"a", "</thi", "nk>", "b", "c", "d"}), -1);
  EXPECT_EQ(due_after(opened(2), {"a", "b</think>\n\n", "c"}), -1);
  EXPECT_EQ(due_after(limit_of(0), {"<think></think>", "a"}), -1);
}

TEST(ReasoningBudget, TheEndIsFoundWhereverTokensCutIt) {
  const std::string text = "some text that is long enough</think>";
  for (std::size_t cut = 1; cut < text.size(); ++cut)
    EXPECT_EQ(due_after(opened(2), {text.substr(0, cut), text.substr(cut), "a"}), -1) << cut;
}

TEST(ReasoningBudget, ACharacterThatWasBegunEndsFirst) {
  EXPECT_EQ(due_after(opened(1), {"\xF0", "\x9F", "\x98", "\x80", "a"}), 4);
  EXPECT_EQ(due_after(opened(2), {"a", "\xC3", "\xA9", "a"}), 3);
  EXPECT_EQ(due_after(opened(1), {"\xC3\xA9", "a"}), 1);
}

// Bytes that never become a character would put the close off for ever.
TEST(ReasoningBudget, NoTextPutsTheCloseOffForMoreThanThreeTokens) {
  EXPECT_EQ(due_after(opened(1), {"\xC3", "\xC3", "\xC3", "\xC3", "\xC3", "\xC3"}), 4);
}

TEST(ReasoningBudget, TheCloseComesOnceAndInOrder) {
  ReasoningBudget budget(opened(0));
  for (const TokenId token : {7, 8, 9}) {
    ASSERT_EQ(budget.due(), token);
    budget.put();
    budget.saw("x");
  }
  EXPECT_FALSE(budget.due());
  for (int i = 0; i < 10; ++i) budget.saw("more");
  EXPECT_FALSE(budget.due());
}

TEST(ReasoningBudget, ACloseThatCannotComeIsGivenUp) {
  ReasoningBudget budget(opened(0));
  budget.give_up();
  budget.saw("a");
  EXPECT_FALSE(budget.due());
}

TEST(ReasoningBudget, WithoutALimitNothingIsDue) {
  EXPECT_EQ(due_after(opened(-1), {"a", "b"}), -1);
  ReasoningLimit mute = opened(0);
  mute.close.clear();
  EXPECT_EQ(due_after(mute, {"a"}), -1);
}

}  // namespace
}  // namespace kvern::schedule
