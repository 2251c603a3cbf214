// Which prompts we know, as a tree of 256-token blocks and exact tails, and their KV bytes in RAM.
//
// A node stands for at most kBlockTokens tokens after its parent; only full nodes have children.
// Keys are token ids, never text: two prompts that read alike but tokenise apart share nothing.
// Nodes whose bytes were evicted stay for a while as ghosts, so that "evicted" can be told from
// "never seen". Thread: engine.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/vocab.h"
#include "engine/engine.h"

namespace kvern::cache {

inline constexpr std::int32_t kBlockTokens = 256;

struct Node {
  std::vector<TokenId> tokens;
  engine::Bytes bytes;  // empty: not in RAM
  Node* parent = nullptr;
  std::int32_t begin = 0;  // position of tokens[0]
  std::uint64_t last_used = 0;
  std::vector<std::unique_ptr<Node>> children;

  std::int32_t end() const { return begin + static_cast<std::int32_t>(tokens.size()); }
  bool full() const { return tokens.size() == static_cast<std::size_t>(kBlockTokens); }
};

class PrefixTree {
 public:
  explicit PrefixTree(std::uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  struct Step {
    Node* node = nullptr;
    std::int32_t matched = 0;  // tokens of the node that agree with the prompt
  };
  // The nodes along prompt, root first; only the last may be matched in part. Never fails: an
  // empty path is an answer.
  std::vector<Step> find(std::span<const TokenId> prompt) const;

  // The node for tokens[begin, end), made if need be: begin is a multiple of kBlockTokens, and at
  // most kBlockTokens long. Null when an ancestor is missing. A longer node that begins with these
  // tokens stands for them too and is returned; a shorter childless one is replaced.
  Node* insert(std::span<const TokenId> tokens, std::int32_t begin, std::int32_t end);

  // Gives the node its bytes and evicts others as needed. False, keeping nothing, when the bytes
  // cannot fit the budget.
  bool put(Node* node, engine::Bytes bytes);
  // The bytes turned out wrong, or are not wanted any more.
  void forget(Node* node);

  // Marks the path to node as just used.
  void touch(Node* node);

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t budget_bytes() const { return budget_bytes_; }
  std::int32_t nodes() const { return nodes_; }
  std::uint64_t evictions() const { return evictions_; }

 private:
  bool evict_one(const Node* keep);
  void prune_ghosts();
  void erase(Node* node);

  std::uint64_t budget_bytes_;
  std::uint64_t bytes_ = 0;
  std::uint64_t clock_ = 0;
  std::uint64_t evictions_ = 0;
  std::int32_t nodes_ = 0;
  Node root_;  // no tokens
};

// Tokens both begin with.
std::int32_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b);

}  // namespace kvern::cache
