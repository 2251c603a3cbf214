// PrefixCache: what a prompt can start from, and why not from further on. Decides; changes nothing.
#include <algorithm>

#include "cache/prefix_cache.h"
#include "cache/token_spans.h"

namespace kvern::cache {
namespace {

constexpr std::int32_t kHeldTokens = 10;  // of what was known to follow, for people

std::vector<TokenId> some_after(std::span<const TokenId> tokens, std::int32_t position) {
  const auto rest = tokens.subspan(static_cast<std::size_t>(std::min(position, size_of(tokens))));
  const auto some = first(rest, std::min(size_of(rest), kHeldTokens));
  return {some.begin(), some.end()};
}

}  // namespace

// prompt: without its last token, which is always computed.
PrefixCache::Choice PrefixCache::choose(const Node& root, std::span<const TokenId> prompt, bool loading) const {
  Choice choice;
  if (options_.mode == Mode::off || prompt.empty()) return choice;
  if (options_.mode == Mode::full && cuttable()) {
    choose_rows(root, prompt, choice);
  } else {
    choose_state(root, prompt, loading, choice);
  }
  look_beyond(root, prompt, choice);
  return choice;
}

void PrefixCache::choose_rows(const Node& root, std::span<const TokenId> prompt, Choice& choice) const {
  const SequenceTable::Source source = table_.longest(root, prompt);
  choice.source = source.sequence;
  choice.base = source.tokens;
  choice.end = source.tokens;
  const std::int32_t from = block_begin(source.tokens);
  const auto path = tree_.find(root, prompt);
  std::vector<Piece> pieces;
  if (!path.empty()) collect_rows(path, from, path.back().node->begin + path.back().matched, pieces);
  // Disk pieces are wanted together or not at all.
  if (!pieces.empty() && !worth_reading(pieces, source.tokens, pieces.back().end)) {
    const auto on_disk = [](const Piece& piece) { return !piece.node->rows.ram; };
    pieces.erase(std::find_if(pieces.begin(), pieces.end(), on_disk), pieces.end());
  }
  if (!pieces.empty() && pieces.back().end > source.tokens) {
    choice.base = from;
    choice.end = pieces.back().end;
    choice.pieces = std::move(pieces);
  }
  if (choice.base == 0) choice.source = -1;
  choice.in_place = choice.source >= 0 && table_.at(choice.source).use == Use::idle &&
                    size_of(table_.at(choice.source).tokens) == choice.base;
}

// The deepest position with a state: the end of an idle sequence, or a snapshot.
void PrefixCache::choose_state(const Node& root, std::span<const TokenId> prompt, bool loading, Choice& choice) const {
  const SequenceTable::Source whole = table_.whole(root, prompt);
  if (whole.tokens > 0) {
    choice.source = whole.sequence;
    choice.base = choice.end = whole.tokens;
    choice.in_place = true;
  }
  if (options_.mode != Mode::full || !loading) return;
  const bool rows = engine_.info().has_rows;
  const SequenceTable::Source source = rows ? table_.longest(root, prompt) : SequenceTable::Source{};
  for (Node* snapshot : tree_.states(root, prompt)) {
    const std::int32_t end = snapshot->end();
    if (end <= whole.tokens) return;
    std::int32_t base = std::min(source.tokens, end);
    if (base < end) base = block_begin(base);
    std::vector<Piece> pieces;
    if (rows && base < end && !collect_rows(tree_.find(root, first(prompt, end)), base, end, pieces)) continue;
    pieces.push_back({snapshot, Part::state, end, end, nullptr, false});
    if (!worth_reading(pieces, whole.tokens, end)) continue;
    choice.source = base > 0 ? source.sequence : -1;
    choice.base = base;
    choice.end = end;
    choice.in_place = false;
    choice.pieces = std::move(pieces);
    return;
  }
}

// Pieces for rows [begin, end) as far as there are bytes without a gap; true when that is all of it.
bool PrefixCache::collect_rows(const std::vector<PrefixTree::Step>& path, std::int32_t begin, std::int32_t end,
                               std::vector<Piece>& pieces) const {
  for (const PrefixTree::Step& step : path) {
    Node& node = *step.node;
    if (node.begin < begin) continue;
    if (node.begin >= end) break;
    const std::int32_t to = std::min(end, node.begin + step.matched);
    Node* bytes = tree_.rows_of(node);
    // A node matched in part lends only what agrees, which a sibling need not have.
    if (!bytes || !bytes->rows.anywhere()) return false;
    pieces.push_back({bytes, Part::rows, node.begin, to, nullptr, false});
  }
  return !pieces.empty() && pieces.back().end == end;
}

bool PrefixCache::worth_reading(const std::vector<Piece>& pieces, std::int32_t begin, std::int32_t end) const {
  std::uint64_t bytes = 0;
  std::int32_t from = end;
  for (const Piece& piece : pieces) {
    const Copy& copy = piece.node->part(piece.part);
    if (copy.ram) continue;
    bytes += copy.bytes;
    from = std::min(from, piece.begin);
  }
  if (bytes == 0) return true;
  if (!cuttable()) from = begin;  // without the snapshot all of it would be computed
  const double compute_ms = rates_.compute_ms(std::max(from, begin), end);
  return compute_ms == 0 || rates_.read_ms(bytes) < compute_ms;
}

// What any tier knows of the prompt, whether it can be used or not.
void PrefixCache::look_beyond(const Node& root, std::span<const TokenId> prompt, Choice& choice) const {
  const SequenceTable::Source source = table_.longest(root, prompt);
  const auto path = tree_.find(root, prompt);
  std::int32_t in_tree = 0;
  bool tree_ends = false;
  for (const PrefixTree::Step& step : path) {
    const Node& node = *step.node;
    in_tree = node.begin + step.matched;
    tree_ends = step.matched == size_of(node.tokens) && node.children.empty();
    const bool lost = cuttable() ? !node.rows.anywhere() : node.state.bytes > 0 && !node.state.anywhere();
    choice.evicted = choice.evicted || (lost && in_tree > choice.end);
  }
  choice.known = std::max({choice.end, in_tree, source.tokens});
  choice.known_ends = (source.tokens == choice.known && source.ends_here) || (in_tree == choice.known && tree_ends);
  if (source.tokens == choice.known && source.sequence >= 0)
    choice.held = some_after(table_.at(source.sequence).tokens, choice.known);
  if (choice.held.empty() && in_tree == choice.known && !path.empty())
    choice.held = some_after(path.back().node->tokens, path.back().matched);
}

ReuseStop PrefixCache::why(const Choice& choice, std::int32_t limit) const {
  if (options_.mode == Mode::off) return ReuseStop::disabled;
  const std::int32_t reused = choice.end;
  if (reused >= limit) return ReuseStop::end;
  if (choice.known > reused && choice.known >= kMeaningfulTokens) {
    if (choice.evicted) return ReuseStop::evicted;
    const bool far = choice.known - reused >= kMeaningfulTokens || choice.known >= limit;
    if (!cuttable() && far) return ReuseStop::snapshot;
  }
  if (reused == 0 || (reused < kMeaningfulTokens && !choice.known_ends)) return ReuseStop::cold;
  return choice.known_ends ? ReuseStop::new_text : ReuseStop::edited;
}

}  // namespace kvern::cache
