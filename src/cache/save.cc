// PrefixCache: cells into RAM, RAM to disk.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cache/prefix_cache.h"
#include "cache/token_spans.h"

namespace kvern::cache {
namespace {

// After a write was refused: try again when the store may have recovered.
constexpr std::int64_t kRetry_us = 5'000'000;
// Snapshots of a conversation that are never thinned out.
constexpr std::size_t kNewestStates = 2;

// Several prompts go on from here in different ways. A tail that another one begins with is the same
// way, at an earlier time.
bool is_branch(const Node& node) {
  std::vector<const Node*> beyond;
  for (const auto& next : node.full() ? node.children : node.parent->children) {
    if (next.get() != &node && (node.full() || begins_with(next->tokens, node.tokens))) beyond.push_back(next.get());
  }
  const auto shorter = [](const Node* a, const Node* b) { return a->tokens.size() < b->tokens.size(); };
  const auto longest = std::max_element(beyond.begin(), beyond.end(), shorter);
  return std::any_of(beyond.begin(), beyond.end(),
                     [&](const Node* other) { return !begins_with((*longest)->tokens, other->tokens); });
}

}  // namespace

void PrefixCache::add_stored(const RecordInfo& info, std::uint64_t payload_bytes, std::int64_t idle_s) {
  if (!store_) return;
  // One whose parent was lost stays: when the parent is computed and written again it is found again.
  tree_.add_stored(info, payload_bytes, clock_.now_us() - std::max<std::int64_t>(0, idle_s) * 1'000'000);
}

bool PrefixCache::save_one() {
  if (!saves()) return false;
  for (const Use use : {Use::idle, Use::leased}) {
    for (engine::SequenceId id = 0; id < table_.size(); ++id) {
      if (table_.at(id).use == use && save_next(table_.at(id), id)) return true;
    }
  }
  return false;
}

// Saves the block after h.saved; a tail only of an idle sequence, because a leased one outgrows it,
// and only where rows alone are of use. A model without rows gets empty blocks: they carry the tokens
// that lead to its snapshots.
bool PrefixCache::save_next(Held& h, engine::SequenceId sequence) {
  if (h.plan) return false;
  const std::int32_t begin = block_begin(h.saved);
  const std::int32_t end = std::min(begin + kBlockTokens, size_of(h.tokens));
  const bool tail = end - begin < kBlockTokens;
  if (end <= h.saved || (tail && (h.use != Use::idle || !cuttable()))) return false;
  Node& node = *tree_.insert(*h.root, h.tokens, begin, end, !cuttable(), tick());
  tree_.touch(node, last_tick_us_);
  h.saved = end;
  if (node.rows.anywhere() || node.rows.on_way || node.end() != end) return true;
  auto bytes = engine_.save(sequence, begin, end);
  if (!bytes) {
    log::warn("cache block not saved", {{"position", begin}, {"why", bytes.error().message}});
    return true;
  }
  keep(node, Part::rows, std::move(*bytes));
  return true;
}

void PrefixCache::save_all(engine::SequenceId sequence) {
  if (!saves()) return;
  Held& h = table_.at(sequence);
  h.saved = 0;
  for (const PrefixTree::Step& step : tree_.find(*h.root, h.tokens)) {
    const bool whole = step.matched == size_of(step.node->tokens);
    if (!whole || !step.node->rows.anywhere()) break;
    h.saved = step.node->end();
  }
  while (save_next(h, sequence)) {
  }
}

void PrefixCache::boundary(const Lease& lease) {
  if (needs_boundaries()) save_state(table_.at(lease.sequence_), lease.sequence_);
}

void PrefixCache::save_state(Held& h, engine::SequenceId sequence) {
  const std::int32_t end = size_of(h.tokens);
  if (!saves() || end == 0) return;
  const std::int32_t begin = block_begin(end - 1);
  Node& node = *tree_.insert(*h.root, h.tokens, begin, end, /*exact=*/true, tick());
  if (!node.state.anywhere() && !node.state.on_way) {
    auto bytes = engine_.save_state(sequence);
    if (!bytes) return log::warn("snapshot not saved", {{"position", end}, {"why", bytes.error().message}});
    keep(node, Part::state, std::move(*bytes));
  }
  if (engine_.info().has_rows && !node.full() && !tree_.rows_of(node)) {
    if (auto rows = engine_.save(sequence, begin, end)) keep(node, Part::rows, std::move(*rows));
  }
  thin_states(node);
}

// Old snapshots thin out: one stays where its neighbours are further apart than half its distance to
// the tip. The newest, and those where prompts branch, stay anyway.
void PrefixCache::thin_states(Node& tip) {
  std::vector<TokenId> prompt;
  std::vector<const Node*> path;
  for (const Node* up = &tip; up->parent; up = up->parent) path.push_back(up);
  const Node* root = path.back()->parent;
  for (auto it = path.rbegin(); it != path.rend(); ++it)
    prompt.insert(prompt.end(), (*it)->tokens.begin(), (*it)->tokens.end());
  const std::vector<Node*> states = tree_.states(*root, prompt);
  std::int32_t above = tip.end();
  for (std::size_t i = 0; i < states.size(); ++i) {
    Node& node = *states[i];
    const std::int32_t below = i + 1 < states.size() ? states[i + 1]->end() : 0;
    const bool crowded = above - below < (tip.end() - node.end()) / 2;
    if (i < kNewestStates || !crowded || node.users > 0 || is_branch(node)) {
      above = node.end();
      continue;
    }
    forget(node, Part::state);
    node.state.bytes = 0;  // nobody shall call it evicted
  }
}

// To RAM, or without room there straight to disk.
void PrefixCache::keep(Node& node, Part part, engine::Bytes bytes) {
  const auto shared = std::make_shared<const engine::Bytes>(std::move(bytes));
  if (tree_.put(node, part, shared, tick())) {
    rest(node, last_tick_us_ + kWriteBehind_us);
  } else {
    persist(node, part, shared);
  }
}

void PrefixCache::rest(Node& node, std::int64_t due_us) {
  if (!store_ || node.resting) return;
  node.resting = true;
  const auto later = [](std::int64_t due, const Rest& other) { return due < other.due_us; };
  resting_.insert(std::upper_bound(resting_.begin(), resting_.end(), due_us, later), Rest{node.key, due_us});
}

bool PrefixCache::persist(Node& node, Part part, const SharedBytes& bytes) {
  Copy& copy = node.part(part);
  if (!store_ || copy.on_disk || copy.on_way) return true;
  RecordInfo info;
  info.id = record_id(node, part);
  info.parent = node.parent->key;
  info.begin = node.begin;
  info.tokens = node.tokens;
  info.cost_ms = static_cast<float>(tree_.saved_ms(node, part));
  copy.on_way = store_->write(std::move(info), bytes);
  return copy.on_way;
}

std::int64_t PrefixCache::poll() {
  if (!store_) return -1;
  for (const StoreEvent& event : store_->take_events()) handle(event);
  const std::int64_t now = tick();
  while (!resting_.empty() && resting_.front().due_us <= now && now >= refused_until_us_) {
    const Key key = resting_.front().key;
    resting_.pop_front();
    Node* node = tree_.at(key);
    if (!node) continue;
    node->resting = false;
    if (node->hits == 0 && node->last_used_us + kWriteBehind_us > now) {
      rest(*node, node->last_used_us + kWriteBehind_us);
      continue;
    }
    for (const Part part : {Part::rows, Part::state}) {
      const SharedBytes bytes = node->part(part).ram;
      // One refusal is enough to know that there is no writing now.
      if (bytes && !persist(*node, part, bytes)) refused_until_us_ = now + kRetry_us;
    }
    if (refused_until_us_ > now) rest(*node, refused_until_us_);
  }
  if (resting_.empty()) return -1;
  return std::max({std::int64_t{1}, resting_.front().due_us - now, refused_until_us_ - now});
}

void PrefixCache::flush() {
  if (!saves()) return;
  for (engine::SequenceId id = 0; id < table_.size(); ++id) {
    Held& h = table_.at(id);
    if (h.use != Use::idle) continue;
    save_all(id);
  }
  if (!store_) return;
  std::vector<Node*> dirty;
  tree_.for_each([&](Node& node) {
    const auto only_here = [](const Copy& copy) { return copy.ram && !copy.on_disk && !copy.on_way; };
    if (only_here(node.rows) || only_here(node.state)) dirty.push_back(&node);
  });
  // The queue may not hold all of it: the latest first, and of a path its beginning.
  std::sort(dirty.begin(), dirty.end(), [](const Node* a, const Node* b) {
    return a->last_used_us != b->last_used_us ? a->last_used_us > b->last_used_us : a->begin < b->begin;
  });
  for (Node* node : dirty) {
    for (const Part part : {Part::rows, Part::state}) {
      if (node->part(part).ram) persist(*node, part, node->part(part).ram);
    }
  }
}

}  // namespace kvern::cache
