#include "cache/sequence_table.h"

#include <algorithm>

namespace kvern::cache {

SequenceTable::SequenceTable(std::int32_t sequences, std::int32_t cells) : ledger_(cells) {
  held_.reserve(static_cast<std::size_t>(sequences));
  for (std::int32_t i = 0; i < sequences; ++i) held_.emplace_back(ledger_);
}

SequenceTable::Source SequenceTable::longest(const Node& root, std::span<const TokenId> prompt) const {
  Source best;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const Held& h = held_[i];
    if (h.use == Use::empty || h.root != &root || h.plan) continue;
    const std::int32_t agree = common_prefix(h.tokens, prompt);
    if (agree == 0 || agree < best.tokens) continue;
    const bool ends = agree == static_cast<std::int32_t>(h.tokens.size());
    if (agree > best.tokens) best = {static_cast<engine::SequenceId>(i), agree, false, false};
    // Among equals an idle sequence that ends here can be continued without a copy.
    if (ends && h.use == Use::idle) best.sequence = static_cast<engine::SequenceId>(i);
    (ends ? best.ends_here : best.goes_on) = true;
  }
  return best;
}

SequenceTable::Source SequenceTable::whole(const Node& root, std::span<const TokenId> prompt) const {
  Source best;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const Held& h = held_[i];
    const auto length = static_cast<std::int32_t>(h.tokens.size());
    if (h.use != Use::idle || h.root != &root || length <= best.tokens) continue;
    if (common_prefix(h.tokens, prompt) == length) best = {static_cast<engine::SequenceId>(i), length, true, false};
  }
  return best;
}

std::optional<engine::SequenceId> SequenceTable::first_empty() const {
  for (std::size_t i = 0; i < held_.size(); ++i) {
    if (held_[i].use == Use::empty) return static_cast<engine::SequenceId>(i);
  }
  return std::nullopt;
}

engine::SequenceId SequenceTable::oldest_idle(engine::SequenceId keep) const {
  engine::SequenceId oldest = -1;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const auto id = static_cast<engine::SequenceId>(i);
    if (held_[i].use != Use::idle || id == keep) continue;
    if (oldest < 0 || held_[i].last_used_us < at(oldest).last_used_us) oldest = id;
  }
  return oldest;
}

std::int32_t SequenceTable::idle_count() const {
  return static_cast<std::int32_t>(
      std::count_if(held_.begin(), held_.end(), [](const Held& h) { return h.use == Use::idle; }));
}

std::int32_t SequenceTable::idle_cells(engine::SequenceId except) const {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    if (held_[i].use == Use::idle && static_cast<engine::SequenceId>(i) != except) sum += held_[i].cells.length();
  }
  return sum;
}

void SequenceTable::clear(engine::SequenceId sequence) {
  Held& h = at(sequence);
  h.use = Use::empty;
  h.tokens.clear();
  h.cells.clear();
  h.saved = 0;
  h.plan.reset();
}

}  // namespace kvern::cache
