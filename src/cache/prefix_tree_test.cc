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

SharedBytes bytes_of_size(std::size_t size) { return std::make_shared<const engine::Bytes>(size); }

struct Tree {
  explicit Tree(std::uint64_t budget_bytes) : tree(budget_bytes, rates), root(tree.root(root_key(Key{}, ""))) {}

  // Inserts every block and the tail of tokens, each with `size` bytes.
  void insert_all(const std::vector<TokenId>& tokens, std::size_t size) {
    for (std::size_t begin = 0; begin < tokens.size(); begin += kBlockTokens) {
      const std::size_t end = std::min(tokens.size(), begin + kBlockTokens);
      Node* node = insert(tokens, static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end));
      if (!node->rows.ram) tree.put(*node, Part::rows, bytes_of_size(size), ++now_us);
    }
  }

  Node* insert(const std::vector<TokenId>& tokens, std::int32_t begin, std::int32_t end, bool exact = false) {
    return tree.insert(root, tokens, begin, end, exact, ++now_us);
  }

  std::int32_t matched(const std::vector<TokenId>& prompt) const {
    std::int32_t sum = 0;
    for (const auto& step : tree.find(root, prompt)) sum += step.matched;
    return sum;
  }

  Rates rates;
  PrefixTree tree;
  Node& root;
  std::int64_t now_us = 0;
};

TEST(PrefixTree, FindsTheLongestKnownPrefixToTheToken) {
  Tree t(1'000'000);
  const auto known = count_from(1, 700);
  t.insert_all(known, 10);
  EXPECT_EQ(t.tree.nodes(), 3);
  EXPECT_EQ(t.matched(known), 700);
  EXPECT_EQ(t.matched(count_from(1, 1000)), 700);
  EXPECT_EQ(t.matched(count_from(1, 300)), 300);
  auto other = known;
  other[400] = -1;
  EXPECT_EQ(t.matched(other), 400);
  EXPECT_EQ(t.matched(count_from(2, 10)), 0);
}

// Two API keys with one prompt: what one computed must not tell the other that it was computed.
TEST(PrefixTree, SaltsShareNothing) {
  Tree t(1'000'000);
  t.insert_all(count_from(1, 300), 10);
  const Node& other = t.tree.root(root_key(Key{}, "another key"));
  EXPECT_TRUE(t.tree.find(other, count_from(1, 300)).empty());
}

// A conversation grows: its old tail is the beginning of the new block and must not stay twice.
TEST(PrefixTree, ALongerTailReplacesTheOneItBeginsWith) {
  Tree t(1'000'000);
  std::vector<std::int32_t> replaced;
  t.tree.on_replace = [&](const Node& node) { replaced.push_back(node.end()); };
  t.insert_all(count_from(1, 300), 10);
  t.insert_all(count_from(1, 400), 10);
  EXPECT_EQ(t.tree.nodes(), 2);
  EXPECT_EQ(t.tree.bytes(), 20U);
  EXPECT_EQ(t.matched(count_from(1, 400)), 400);
  EXPECT_EQ(replaced, std::vector<std::int32_t>{300});
}

// A snapshot is of use at its own position only, so nothing longer stands for it.
TEST(PrefixTree, ATailWithAStateStaysBesideLongerOnes) {
  Tree t(1'000'000);
  const auto tokens = count_from(1, 400);
  Node* tail = t.insert(tokens, 256, 300, true);
  t.tree.put(*tail, Part::state, bytes_of_size(5), ++t.now_us);
  t.insert_all(tokens, 10);
  const auto states = t.tree.states(t.root, tokens);
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(states[0]->end(), 300);
  EXPECT_EQ(t.tree.rows_of(*states[0])->end(), 400) << "the longer sibling's rows begin with its own";
  EXPECT_TRUE(t.tree.states(t.root, count_from(1, 299)).empty());
}

TEST(PrefixTree, StatesComeDeepestFirst) {
  Tree t(1'000'000);
  const auto tokens = count_from(1, 700);
  for (const auto& [begin, end] : {std::pair{0, 100}, std::pair{256, 512}, std::pair{512, 600}}) {
    Node* node = t.insert(tokens, begin, end, true);
    t.tree.put(*node, Part::state, bytes_of_size(5), ++t.now_us);
  }
  std::vector<std::int32_t> ends;
  for (const Node* node : t.tree.states(t.root, tokens)) ends.push_back(node->end());
  EXPECT_EQ(ends, (std::vector<std::int32_t>{600, 512, 100}));
}

TEST(PrefixTree, BranchesShareTheirCommonBlocks) {
  Tree t(1'000'000);
  auto left = count_from(1, 600);
  auto right = left;
  right[520] = -7;
  t.insert_all(left, 10);
  t.insert_all(right, 10);
  EXPECT_EQ(t.tree.nodes(), 4) << "two shared blocks, two tails";
  EXPECT_EQ(t.matched(right), 600);
}

TEST(PrefixTree, TheBudgetHoldsAndLeavesGoFirst) {
  Tree t(50);
  t.insert_all(count_from(1, 5 * kBlockTokens), 10);
  EXPECT_EQ(t.tree.bytes(), 50U);
  t.insert_all(count_from(10'000, 2 * kBlockTokens), 10);
  EXPECT_EQ(t.tree.bytes(), 50U);
  EXPECT_EQ(t.tree.evictions(), 2U);
  const auto path = t.tree.find(t.root, count_from(1, 5 * kBlockTokens));
  ASSERT_EQ(path.size(), 5U) << "evicted blocks stay as ghosts";
  EXPECT_TRUE(path[0].node->rows.ram);
  EXPECT_TRUE(path[2].node->rows.ram);
  EXPECT_FALSE(path[3].node->rows.ram);
  EXPECT_FALSE(path[4].node->rows.ram);
}

// The disk brings it back in milliseconds; what only RAM has would be computed again.
TEST(PrefixTree, WhatIsOnDiskTooLeavesRamFirst) {
  Tree t(30);
  t.rates.computed(0, 1000, 1'000'000);
  t.insert_all(count_from(1, 2 * kBlockTokens), 10);
  t.insert_all(count_from(10'000, kBlockTokens), 10);
  Node* stored = t.tree.find(t.root, count_from(10'000, kBlockTokens))[0].node;
  stored->rows.on_disk = true;
  t.insert_all(count_from(20'000, kBlockTokens), 10);
  EXPECT_FALSE(stored->rows.ram);
  EXPECT_TRUE(stored->rows.anywhere());
}

TEST(PrefixTree, WhatIsBeingLoadedIsNeverEvicted) {
  Tree t(20);
  t.insert_all(count_from(1, kBlockTokens), 10);
  Node* used = t.tree.find(t.root, count_from(1, kBlockTokens))[0].node;
  ++used->users;
  for (TokenId start = 10'000; start < 50'000; start += 10'000) t.insert_all(count_from(start, kBlockTokens), 10);
  EXPECT_TRUE(used->rows.ram);
  --used->users;
}

TEST(PrefixTree, BytesLargerThanTheBudgetAreNotKept) {
  Tree t(5);
  Node* node = t.insert(count_from(1, 10), 0, 10);
  EXPECT_FALSE(t.tree.put(*node, Part::rows, bytes_of_size(6), 1));
  EXPECT_EQ(t.tree.bytes(), 0U);
}

TEST(PrefixTree, AStoredRecordWithoutItsParentIsRefused) {
  Tree t(100);
  const auto tokens = count_from(1, 300);
  RecordInfo info;
  info.parent = chain_key(t.root.key, std::span(tokens).first(256));
  info.begin = 256;
  info.tokens.assign(tokens.begin() + 256, tokens.end());
  info.id = {RecordKind::tail, chain_key(info.parent, info.tokens)};
  EXPECT_FALSE(t.tree.add_stored(info, 10, 0));

  RecordInfo block;
  block.parent = t.root.key;
  block.tokens.assign(tokens.begin(), tokens.begin() + 256);
  block.id = {RecordKind::block, info.parent};
  EXPECT_TRUE(t.tree.add_stored(block, 10, 0));
  EXPECT_TRUE(t.tree.add_stored(info, 10, 0));
  EXPECT_EQ(t.matched(tokens), 300);
}

}  // namespace
}  // namespace kvern::cache
