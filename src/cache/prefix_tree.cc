#include "cache/prefix_tree.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace kvern::cache {
namespace {

// A ghost keeps about 1 KiB of tokens; this many bound them to a few MiB.
constexpr std::int32_t kNodesMax = 8192;

std::span<const TokenId> part(std::span<const TokenId> tokens, std::int32_t begin, std::int32_t end) {
  return tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

template <typename Visit>
void for_each(Node& node, const Visit& visit) {
  std::vector<Node*> open{&node};
  while (!open.empty()) {
    Node* next = open.back();
    open.pop_back();
    for (auto& child : next->children) {
      visit(*child);
      open.push_back(child.get());
    }
  }
}

bool any_child_has_bytes(const Node& node) {
  return std::any_of(node.children.begin(), node.children.end(),
                     [](const auto& child) { return !child->bytes.empty() || any_child_has_bytes(*child); });
}

}  // namespace

std::int32_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  const auto [end_a, end_b] = std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin());
  return static_cast<std::int32_t>(end_a - a.begin());
}

std::vector<PrefixTree::Step> PrefixTree::find(std::span<const TokenId> prompt) const {
  std::vector<Step> path;
  const Node* at = &root_;
  while (true) {
    const auto rest = prompt.subspan(static_cast<std::size_t>(at->end()));
    Step best;
    for (const auto& child : at->children) {
      const std::int32_t matched = common_prefix(child->tokens, rest);
      // Of equal matches the one with bytes is useful now.
      const bool better = matched > best.matched ||
                          (matched == best.matched && matched > 0 && best.node->bytes.empty() && !child->bytes.empty());
      if (better) best = {child.get(), matched};
    }
    if (!best.node) return path;
    path.push_back(best);
    if (!best.node->full() || best.matched < kBlockTokens) return path;
    at = best.node;
  }
}

Node* PrefixTree::insert(std::span<const TokenId> tokens, std::int32_t begin, std::int32_t end) {
  CHECK(begin % kBlockTokens == 0 && end > begin && end - begin <= kBlockTokens);
  Node* parent = &root_;
  if (begin > 0) {
    const auto path = find(part(tokens, 0, begin));
    if (path.empty() || path.back().node->end() != begin || path.back().matched != kBlockTokens) return nullptr;
    parent = path.back().node;
  }
  const auto wanted = part(tokens, begin, end);
  for (auto& child : parent->children) {
    const std::int32_t matched = common_prefix(child->tokens, wanted);
    if (matched == static_cast<std::int32_t>(wanted.size())) return child.get();
    if (matched == static_cast<std::int32_t>(child->tokens.size()) && child->children.empty()) {
      forget(child.get());
      child->tokens.assign(wanted.begin(), wanted.end());
      touch(child.get());
      return child.get();
    }
  }
  auto node = std::make_unique<Node>();
  node->tokens.assign(wanted.begin(), wanted.end());
  node->parent = parent;
  node->begin = begin;
  Node* added = node.get();
  parent->children.push_back(std::move(node));
  ++nodes_;
  touch(added);
  prune_ghosts();
  return added;
}

bool PrefixTree::put(Node* node, engine::Bytes bytes) {
  CHECK(node->bytes.empty());
  if (bytes.size() > budget_bytes_) return false;
  while (bytes_ + bytes.size() > budget_bytes_) {
    if (!evict_one(node)) return false;
  }
  bytes_ += bytes.size();
  node->bytes = std::move(bytes);
  return true;
}

void PrefixTree::forget(Node* node) {
  bytes_ -= node->bytes.size();
  engine::Bytes().swap(node->bytes);
}

void PrefixTree::touch(Node* node) {
  ++clock_;
  for (; node != nullptr && node != &root_; node = node->parent) node->last_used = clock_;
}

// The least recently used node with bytes whose descendants have none, never an ancestor of keep.
bool PrefixTree::evict_one(const Node* keep) {
  Node* victim = nullptr;
  for_each(root_, [&](Node& node) {
    if (node.bytes.empty() || &node == keep) return;
    if (victim && victim->last_used <= node.last_used) return;
    for (const Node* up = keep; up; up = up->parent) {
      if (up == &node) return;
    }
    if (!any_child_has_bytes(node)) victim = &node;
  });
  if (!victim) return false;
  forget(victim);
  ++evictions_;
  return true;
}

void PrefixTree::prune_ghosts() {
  while (nodes_ > kNodesMax) {
    Node* oldest = nullptr;
    for_each(root_, [&](Node& node) {
      const bool ghost = node.bytes.empty() && node.children.empty() && node.last_used != clock_;
      if (ghost && (!oldest || node.last_used < oldest->last_used)) oldest = &node;
    });
    if (!oldest) return;
    erase(oldest);
  }
}

void PrefixTree::erase(Node* node) {
  auto& siblings = node->parent->children;
  const auto at =
      std::find_if(siblings.begin(), siblings.end(), [&](const auto& child) { return child.get() == node; });
  CHECK(at != siblings.end());
  siblings.erase(at);
  --nodes_;
}

}  // namespace kvern::cache
