// What each of the engine's sequences holds, and which of them a prompt can start from.
//
// Thread: engine. Plain bookkeeping: it never calls the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/cell_ledger.h"
#include "cache/prefix_tree.h"
#include "cache/restore_plan.h"
#include "engine/engine.h"

namespace kvern::cache {

enum class Use { empty, leased, idle };

struct Held {
  explicit Held(CellLedger& ledger) : cells(ledger) {}
  Use use = Use::empty;
  Node* root = nullptr;         // whose tokens these are
  std::vector<TokenId> tokens;  // tokens[i] is computed at position i
  CellLedger::Account cells;
  std::int32_t saved = 0;  // rows of tokens[0, saved) are in the tree, or could not be saved
  std::int64_t last_used_us = 0;
  std::int64_t idle_since_row = 0;    // rows computed in all when it became idle
  std::unique_ptr<RestorePlan> plan;  // leased: what is still to be loaded
};

class SequenceTable {
 public:
  SequenceTable(std::int32_t sequences, std::int32_t cells);

  Held& at(engine::SequenceId sequence) { return held_[static_cast<std::size_t>(sequence)]; }
  const Held& at(engine::SequenceId sequence) const { return held_[static_cast<std::size_t>(sequence)]; }
  std::int32_t size() const { return static_cast<std::int32_t>(held_.size()); }
  CellLedger& ledger() { return ledger_; }
  const CellLedger& ledger() const { return ledger_; }

  struct Source {
    engine::SequenceId sequence = -1;
    std::int32_t tokens = 0;  // agreeing with the prompt
    bool ends_here = false;   // some sequence ends exactly there
    bool goes_on = false;     // some sequence goes on differently there
  };
  // The sequence that agrees longest with prompt; one being restored does not count.
  Source longest(const Node& root, std::span<const TokenId> prompt) const;
  // The longest idle sequence that is a prefix of prompt as a whole.
  Source whole(const Node& root, std::span<const TokenId> prompt) const;

  std::optional<engine::SequenceId> first_empty() const;
  // The idle one least recently used, but for keep; -1: none.
  engine::SequenceId oldest_idle(engine::SequenceId keep) const;

  std::int32_t idle_count() const;
  std::int32_t idle_cells(engine::SequenceId except) const;

  void clear(engine::SequenceId sequence);

 private:
  CellLedger ledger_;
  std::vector<Held> held_;
};

}  // namespace kvern::cache
