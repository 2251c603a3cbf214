// Which prompts we know, as trees of 256-token blocks and exact tails, and where their bytes are.
//
// One tree per root key (fingerprint and salt). A node stands for at most kBlockTokens tokens after
// its parent; only full nodes have children. A node may have rows (KV of its tokens) and a state
// (what cannot be cut, at its end), each in RAM, on disk, both or nowhere. Keys cover token ids, never
// text: two prompts that read alike but tokenise apart share nothing. Nodes whose bytes are gone
// stay for a while as ghosts, so that "evicted" can be told from "never seen".
//
// Thread: engine.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/rates.h"
#include "cache/record.h"
#include "core/vocab.h"

namespace kvern::cache {

inline constexpr std::int32_t kBlockTokens = 256;

// Where one record's bytes are.
struct Copy {
  SharedBytes ram;          // null: not in RAM
  bool on_disk = false;     // readable there
  bool on_way = false;      // a write is queued
  std::uint64_t bytes = 0;  // size, wherever they are

  bool anywhere() const { return ram || on_disk; }
};

enum class Part { rows, state };

struct Node {
  std::vector<TokenId> tokens;
  Key key{};
  Copy rows;
  Copy state;
  Node* parent = nullptr;
  std::int32_t begin = 0;  // position of tokens[0]
  std::int32_t hits = 0;   // requests that used it after the one that made it
  std::int32_t users = 0;  // loads under way: neither erased nor evicted
  bool resting = false;    // waits to be written to disk
  std::int64_t last_used_us = 0;
  std::vector<std::unique_ptr<Node>> children;

  std::int32_t end() const { return begin + static_cast<std::int32_t>(tokens.size()); }
  bool full() const { return tokens.size() == static_cast<std::size_t>(kBlockTokens); }
  // Nothing to load. An empty block of a model without rows only leads to others.
  bool ghost() const {
    return (!rows.anywhere() || rows.bytes == 0) && !state.anywhere() && !rows.on_way && !state.on_way;
  }
  Copy& part(Part which) { return which == Part::rows ? rows : state; }
  const Copy& part(Part which) const { return which == Part::rows ? rows : state; }
};

RecordId record_id(const Node& node, Part part);

class PrefixTree {
 public:
  // rates must outlive the tree.
  PrefixTree(std::uint64_t budget_bytes, const Rates& rates) : budget_bytes_(budget_bytes), rates_(rates) {}

  Node& root(const Key& key);

  struct Step {
    Node* node = nullptr;
    std::int32_t matched = 0;  // tokens of the node that agree with the prompt
  };
  // The nodes along prompt; only the last may be matched in part. Never fails: an empty path is an
  // answer.
  std::vector<Step> find(const Node& root, std::span<const TokenId> prompt) const;

  // Every node with a state whose tokens, and all before, are a prefix of prompt; deepest first.
  std::vector<Node*> states(const Node& root, std::span<const TokenId> prompt) const;

  // The node whose rows begin with node's tokens: itself, or a longer sibling. Null: no rows anywhere.
  Node* rows_of(Node& node) const;

  // The node for tokens[begin, end), made if need be: begin is a multiple of kBlockTokens, and at
  // most kBlockTokens long. Missing ancestors are made, too, as ghosts. Without `exact` a longer node
  // that begins with these tokens stands for them and is returned, and a shorter childless one
  // without a state is replaced.
  Node* insert(Node& root, std::span<const TokenId> tokens, std::int32_t begin, std::int32_t end, bool exact,
               std::int64_t now_us);

  // Gives the node bytes in RAM and evicts others as needed. False, keeping nothing, when they
  // cannot fit the budget.
  bool put(Node& node, Part part, SharedBytes bytes, std::int64_t now_us);
  // They are wrong, superseded, or not wanted in RAM any more. On disk they stay.
  void drop_ram(Node& node, Part part);

  // A record found on disk. False when its parent is not known: nobody can reach it.
  bool add_stored(const RecordInfo& info, std::uint64_t payload_bytes, std::int64_t last_used_us);

  // Null when no node has this key.
  Node* at(const Key& key) const;

  // Marks the path to node as just used.
  void touch(Node& node, std::int64_t now_us);

  // Called before bytes leave RAM for want of room: the last chance to write them to disk.
  std::function<void(Node&, Part)> on_evict;
  // A node is replaced by a longer one: its records on disk are of no use any more.
  std::function<void(const Node&)> on_replace;

  // Visits every node but the roots.
  void for_each(const std::function<void(Node&)>& visit) const;

  // What having this part saves, in ms: computing it again, or reading it when it is on disk too.
  double saved_ms(const Node& node, Part part) const;

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t budget_bytes() const { return budget_bytes_; }
  std::int32_t nodes() const { return static_cast<std::int32_t>(by_key_.size()); }
  std::uint64_t evictions() const { return evictions_; }

 private:
  Node* add(Node& parent, std::span<const TokenId> tokens, std::int64_t now_us);
  bool make_room(std::uint64_t bytes, Part part, const Node& keep, std::int64_t now_us);
  bool evict_some(const std::function<bool()>& enough, bool states_only, const Node& keep, std::int64_t now_us);
  void prune_ghosts();
  void erase(Node& node);

  std::uint64_t budget_bytes_;
  const Rates& rates_;
  std::uint64_t bytes_ = 0;
  std::uint64_t state_bytes_ = 0;
  std::uint64_t evictions_ = 0;
  std::size_t added_ = 0;  // nodes since ghosts were last counted
  std::map<Key, std::unique_ptr<Node>> roots_;
  std::unordered_map<Key, Node*, KeyHasher> by_key_;
};

bool begins_with(std::span<const TokenId> tokens, std::span<const TokenId> start);

// Tokens both begin with.
std::int32_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b);

}  // namespace kvern::cache
