#include "cache/prefix_tree.h"

#include <algorithm>
#include <queue>
#include <unordered_set>

#include "base/check.h"
#include "cache/eviction.h"

namespace kvern::cache {
namespace {

// A ghost keeps over 1 KiB of tokens; this many bound them to a few MiB.
constexpr std::size_t kGhostsMax = 4096;
// States may take this part of the budget: rows without a state still serve the next snapshot.
constexpr std::uint64_t kStateShare = 2;  // one half
// Eviction goes this far below the budget, so that not every block has to look for a victim.
constexpr std::uint64_t kSlack = 64;  // one 64th

std::span<const TokenId> part_of(std::span<const TokenId> tokens, std::int32_t begin, std::int32_t end) {
  return tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

bool child_needs_rows(const Node& node) {
  return std::any_of(node.children.begin(), node.children.end(),
                     [](const auto& child) { return child->rows.ram != nullptr; });
}

}  // namespace

bool begins_with(std::span<const TokenId> tokens, std::span<const TokenId> start) {
  return tokens.size() >= start.size() && std::equal(start.begin(), start.end(), tokens.begin());
}

std::int32_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  const auto [end_a, end_b] = std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin());
  return static_cast<std::int32_t>(end_a - a.begin());
}

RecordId record_id(const Node& node, Part part) {
  if (part == Part::state) return {RecordKind::snapshot, node.key};
  return {node.full() ? RecordKind::block : RecordKind::tail, node.key};
}

Node& PrefixTree::root(const Key& key) {
  std::unique_ptr<Node>& root = roots_[key];
  if (!root) {
    root = std::make_unique<Node>();
    root->key = key;
  }
  return *root;
}

std::vector<PrefixTree::Step> PrefixTree::find(const Node& root, std::span<const TokenId> prompt) const {
  std::vector<Step> path;
  const Node* at = &root;
  while (true) {
    const auto rest = prompt.subspan(static_cast<std::size_t>(at->end()));
    Step best;
    for (const auto& child : at->children) {
      const std::int32_t matched = common_prefix(child->tokens, rest);
      // Of equal matches the one with rows is useful now, and a full one leads on.
      const auto worth = [](const Node& node) { return (node.rows.anywhere() ? 1 : 0) + (node.full() ? 2 : 0); };
      const bool better =
          matched > best.matched || (matched == best.matched && matched > 0 && worth(*child) > worth(*best.node));
      if (better) best = {child.get(), matched};
    }
    if (!best.node) return path;
    path.push_back(best);
    if (!best.node->full() || best.matched < kBlockTokens) return path;
    at = best.node;
  }
}

std::vector<Node*> PrefixTree::states(const Node& root, std::span<const TokenId> prompt) const {
  std::vector<Node*> found;
  const Node* at = &root;
  while (at) {
    const auto rest = prompt.subspan(static_cast<std::size_t>(at->end()));
    const Node* next = nullptr;
    for (const auto& child : at->children) {
      if (!begins_with(rest, child->tokens)) continue;
      if (child->state.anywhere()) found.push_back(child.get());
      if (child->full()) next = child.get();
    }
    at = next;
  }
  std::sort(found.begin(), found.end(), [](const Node* a, const Node* b) { return a->end() > b->end(); });
  return found;
}

Node* PrefixTree::rows_of(Node& node) const {
  if (node.rows.ram || !node.parent) return &node;
  Node* found = node.rows.on_disk ? &node : nullptr;
  for (const auto& sibling : node.parent->children) {
    if (!sibling->rows.anywhere() || !begins_with(sibling->tokens, node.tokens)) continue;
    if (sibling->rows.ram) return sibling.get();
    if (!found) found = sibling.get();
  }
  return found;
}

Node* PrefixTree::add(Node& parent, std::span<const TokenId> tokens, std::int64_t now_us) {
  auto node = std::make_unique<Node>();
  node->tokens.assign(tokens.begin(), tokens.end());
  node->key = chain_key(parent.key, tokens);
  node->parent = &parent;
  node->begin = parent.end();
  node->last_used_us = now_us;
  Node* added = node.get();
  parent.children.push_back(std::move(node));
  by_key_[added->key] = added;
  ++added_;
  return added;
}

Node* PrefixTree::insert(Node& root, std::span<const TokenId> tokens, std::int32_t begin, std::int32_t end, bool exact,
                         std::int64_t now_us) {
  CHECK(begin % kBlockTokens == 0 && end > begin && end - begin <= kBlockTokens);
  Node* parent = &root;
  while (parent->end() < begin) {
    const auto block = part_of(tokens, parent->end(), parent->end() + kBlockTokens);
    const auto found = std::find_if(parent->children.begin(), parent->children.end(), [&](const auto& child) {
      return child->full() && begins_with(block, child->tokens);
    });
    parent = found != parent->children.end() ? found->get() : add(*parent, block, now_us);
  }
  const auto wanted = part_of(tokens, begin, end);
  Node* longer = nullptr;
  Node* shorter = nullptr;
  for (auto& child : parent->children) {
    const bool same_size = child->tokens.size() == wanted.size();
    if (same_size && begins_with(child->tokens, wanted)) return child.get();
    if (exact) continue;
    const bool has_rows = child->rows.anywhere() || child->rows.on_way;
    if (has_rows && begins_with(child->tokens, wanted)) longer = child.get();
    const bool replaceable = child->children.empty() && !child->state.anywhere() && child->users == 0;
    if (replaceable && begins_with(wanted, child->tokens)) shorter = child.get();
  }
  if (longer) return longer;
  if (shorter) {
    if (on_replace) on_replace(*shorter);
    erase(*shorter);
  }
  Node* added = add(*parent, wanted, now_us);
  ++added->users;
  prune_ghosts();
  --added->users;
  return added;
}

bool PrefixTree::put(Node& node, Part part, SharedBytes bytes, std::int64_t now_us) {
  Copy& copy = node.part(part);
  CHECK(!copy.ram && bytes);
  copy.bytes = bytes->size();
  if (!make_room(bytes->size(), part, node, now_us)) return false;
  bytes_ += bytes->size();
  if (part == Part::state) state_bytes_ += bytes->size();
  copy.ram = std::move(bytes);
  return true;
}

void PrefixTree::drop_ram(Node& node, Part part) {
  Copy& copy = node.part(part);
  if (!copy.ram) return;
  bytes_ -= copy.ram->size();
  if (part == Part::state) state_bytes_ -= copy.ram->size();
  copy.ram.reset();
}

bool PrefixTree::add_stored(const RecordInfo& info, std::uint64_t payload_bytes, std::int64_t last_used_us) {
  if (info.tokens.empty() || info.tokens.size() > static_cast<std::size_t>(kBlockTokens)) return false;
  Node* node = at(info.id.key);
  if (!node) {
    Node* parent = info.begin == 0 ? &root(info.parent) : at(info.parent);
    if (!parent || parent->end() != info.begin || (info.begin > 0 && !parent->full())) return false;
    node = add(*parent, info.tokens, last_used_us);
    if (node->key != info.id.key) {
      erase(*node);
      return false;
    }
  }
  Copy& copy = node->part(info.id.kind == RecordKind::snapshot ? Part::state : Part::rows);
  copy.on_disk = true;
  copy.bytes = payload_bytes;
  node->last_used_us = std::max(node->last_used_us, last_used_us);
  return true;
}

Node* PrefixTree::at(const Key& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second;
}

void PrefixTree::touch(Node& node, std::int64_t now_us) {
  for (Node* up = &node; up; up = up->parent) up->last_used_us = now_us;
}

void PrefixTree::for_each(const std::function<void(Node&)>& visit) const {
  for (const auto& [key, node] : by_key_) visit(*node);
}

double PrefixTree::saved_ms(const Node& node, Part part) const {
  const Copy& copy = node.part(part);
  std::int32_t from = node.begin;
  if (part == Part::state) {
    // From the state before it, which the same prompt would fall back to.
    for (const Node* up = node.parent; up; up = up->parent) {
      from = up->end();
      if (up->state.anywhere()) break;
    }
  }
  const double compute_ms = std::max(rates_.compute_ms(from, node.end()), 1e-3 * (node.end() - from));
  return copy.on_disk && copy.ram ? std::min(compute_ms, rates_.read_ms(copy.bytes)) : compute_ms;
}

bool PrefixTree::make_room(std::uint64_t bytes, Part part, const Node& keep, std::int64_t now_us) {
  const std::uint64_t states_max = budget_bytes_ / kStateShare;
  if (bytes > (part == Part::state ? states_max : budget_bytes_)) return false;
  if (part == Part::state && state_bytes_ + bytes > states_max &&
      !evict_some([&] { return state_bytes_ + bytes <= states_max; }, true, keep, now_us))
    return false;
  if (bytes_ + bytes <= budget_bytes_) return true;
  const std::uint64_t aim = budget_bytes_ - std::min(budget_bytes_ - bytes, budget_bytes_ / kSlack);
  evict_some([&] { return bytes_ + bytes <= aim; }, false, keep, now_us);
  return bytes_ + bytes <= budget_bytes_;
}

// Lowest score first. Rows go from the leaves up, because a block without those before it is of no
// use, unless the disk has it too. Never what keep's path needs.
bool PrefixTree::evict_some(const std::function<bool()>& enough, bool states_only, const Node& keep,
                            std::int64_t now_us) {
  struct Victim {
    double score;
    Node* node;
    Part part;
    bool operator<(const Victim& other) const { return score > other.score; }  // the heap's top is the lowest
  };
  std::unordered_set<const Node*> kept;
  for (const Node* up = &keep; up; up = up->parent) kept.insert(up);
  std::priority_queue<Victim> victims;
  const auto offer = [&](Node& node, Part part) {
    if (!node.part(part).ram || node.users > 0 || &node == &keep) return;
    if (part == Part::rows) {
      if (states_only || kept.contains(&node)) return;
      if (!node.rows.on_disk && child_needs_rows(node)) return;
    }
    const double idle_s = static_cast<double>(std::max<std::int64_t>(0, now_us - node.last_used_us)) / 1e6;
    victims.push(
        {keep_score(saved_ms(node, part), static_cast<std::uint32_t>(node.hits), idle_s, node.part(part).bytes), &node,
         part});
  };
  for (const auto& [key, node] : by_key_) {
    offer(*node, Part::state);
    offer(*node, Part::rows);
  }
  while (!enough()) {
    if (victims.empty()) return false;
    const Victim victim = victims.top();
    victims.pop();
    if (!victim.node->part(victim.part).ram) continue;
    if (on_evict) on_evict(*victim.node, victim.part);
    drop_ram(*victim.node, victim.part);
    ++evictions_;
    // The last child is gone: its parent's turn.
    Node* parent = victim.node->parent;
    if (victim.part == Part::rows && parent && parent->parent && !parent->rows.on_disk) offer(*parent, Part::rows);
  }
  return true;
}

// Oldest first, from the leaves up: what lies under a ghost may still be found through it.
void PrefixTree::prune_ghosts() {
  if (added_ < kGhostsMax / 4) return;
  added_ = 0;
  std::size_t ghosts = 0;
  std::vector<Node*> leaves;
  const auto prunable = [](const Node& node) {
    return node.parent && node.ghost() && node.children.empty() && node.users == 0;
  };
  for (const auto& [key, node] : by_key_) {
    ghosts += node->ghost();
    if (prunable(*node)) leaves.push_back(node);
  }
  if (ghosts <= kGhostsMax) return;
  const auto older = [](const Node* a, const Node* b) { return a->last_used_us > b->last_used_us; };
  std::priority_queue<Node*, std::vector<Node*>, decltype(older)> oldest(older, std::move(leaves));
  while (ghosts > kGhostsMax / 2 && !oldest.empty()) {
    Node* parent = oldest.top()->parent;
    erase(*oldest.top());
    oldest.pop();
    --ghosts;
    if (prunable(*parent)) oldest.push(parent);
  }
}

void PrefixTree::erase(Node& node) {
  CHECK(node.users == 0 && node.children.empty());
  drop_ram(node, Part::rows);
  drop_ram(node, Part::state);
  by_key_.erase(node.key);
  auto& siblings = node.parent->children;
  const auto at =
      std::find_if(siblings.begin(), siblings.end(), [&](const auto& child) { return child.get() == &node; });
  CHECK(at != siblings.end());
  siblings.erase(at);
}

}  // namespace kvern::cache
