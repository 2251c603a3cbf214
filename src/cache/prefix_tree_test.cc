#include "cache/prefix_tree.h"

#include <gtest/gtest.h>

#include <numeric>

namespace kvern::cache {
namespace {

std::vector<TokenId> count_from(TokenId first, std::size_t n) {
  std::vector<TokenId> tokens(n);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

// Inserts every block and the tail of tokens, each with `size` bytes.
void insert_all(PrefixTree& tree, const std::vector<TokenId>& tokens, std::size_t size) {
  for (std::size_t begin = 0; begin < tokens.size(); begin += kBlockTokens) {
    const std::size_t end = std::min(tokens.size(), begin + kBlockTokens);
    Node* node = tree.insert(tokens, static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end));
    ASSERT_NE(node, nullptr);
    if (node->bytes.empty()) tree.put(node, engine::Bytes(size));
  }
}

std::int32_t matched(const PrefixTree& tree, const std::vector<TokenId>& prompt) {
  std::int32_t sum = 0;
  for (const auto& step : tree.find(prompt)) sum += step.matched;
  return sum;
}

TEST(PrefixTree, FindsTheLongestKnownPrefixToTheToken) {
  PrefixTree tree(1'000'000);
  const auto known = count_from(1, 700);
  insert_all(tree, known, 10);
  EXPECT_EQ(tree.nodes(), 3);
  EXPECT_EQ(matched(tree, known), 700);
  EXPECT_EQ(matched(tree, count_from(1, 1000)), 700);
  EXPECT_EQ(matched(tree, count_from(1, 300)), 300);
  auto other = known;
  other[400] = -1;
  EXPECT_EQ(matched(tree, other), 400);
  EXPECT_EQ(matched(tree, count_from(2, 10)), 0);
}

// A conversation grows: its old tail is the beginning of the new block and must not stay twice.
TEST(PrefixTree, ALongerTailReplacesTheOneItBeginsWith) {
  PrefixTree tree(1'000'000);
  insert_all(tree, count_from(1, 300), 10);
  insert_all(tree, count_from(1, 400), 10);
  EXPECT_EQ(tree.nodes(), 2);
  EXPECT_EQ(tree.bytes(), 20U);
  EXPECT_EQ(matched(tree, count_from(1, 400)), 400);
}

TEST(PrefixTree, BranchesShareTheirCommonBlocks) {
  PrefixTree tree(1'000'000);
  auto left = count_from(1, 600);
  auto right = left;
  right[520] = -7;
  insert_all(tree, left, 10);
  insert_all(tree, right, 10);
  EXPECT_EQ(tree.nodes(), 4) << "two shared blocks, two tails";
  EXPECT_EQ(matched(tree, right), 600);
}

TEST(PrefixTree, TheBudgetHoldsAndLeavesGoFirst) {
  PrefixTree tree(50);
  insert_all(tree, count_from(1, 5 * kBlockTokens), 10);
  EXPECT_EQ(tree.bytes(), 50U);
  insert_all(tree, count_from(10'000, 2 * kBlockTokens), 10);
  EXPECT_EQ(tree.bytes(), 50U);
  EXPECT_EQ(tree.evictions(), 2U);
  const auto path = tree.find(count_from(1, 5 * kBlockTokens));
  ASSERT_EQ(path.size(), 5U) << "evicted blocks stay as ghosts";
  EXPECT_FALSE(path[0].node->bytes.empty());
  EXPECT_FALSE(path[2].node->bytes.empty());
  EXPECT_TRUE(path[3].node->bytes.empty());
  EXPECT_TRUE(path[4].node->bytes.empty());
}

TEST(PrefixTree, BytesLargerThanTheBudgetAreNotKept) {
  PrefixTree tree(5);
  Node* node = tree.insert(count_from(1, 10), 0, 10);
  EXPECT_FALSE(tree.put(node, engine::Bytes(6)));
  EXPECT_EQ(tree.bytes(), 0U);
}

TEST(PrefixTree, ABlockWithoutItsAncestorsIsRefused) {
  PrefixTree tree(100);
  EXPECT_EQ(tree.insert(count_from(1, 600), 256, 512), nullptr);
}

}  // namespace
}  // namespace kvern::cache
