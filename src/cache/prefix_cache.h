// Finds, shares, loads and keeps what was computed before, so that no prompt token is computed twice.
//
// Two tiers so far. Device: cells of sequences, running or idle; a prompt forks the sequence it has
// most in common with (metadata only). RAM: blocks and tails in the prefix tree, loaded into cells
// when the device holds less. Rows are exact at token granularity in both, for models whose state
// can be cut; for others only a whole idle sequence is continued.
//
// Thread: engine. Owns the engine's sequence ids; nobody else forks, drops or loads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "cache/cell_ledger.h"
#include "cache/prefix_tree.h"
#include "core/usage.h"
#include "engine/engine.h"

namespace kvern::cache {

// Idle sequences keep at most this part of the cells while others run: attention walks over every
// cell in use at each step, and RAM brings a block back in milliseconds.
inline constexpr std::int32_t kIdleShare = 8;  // one eighth

struct Options {
  std::uint64_t memory_bytes = 0;  // RAM tier's budget; 0: none
  bool enabled = true;             // false: every prompt is computed from its first token
};

class PrefixCache;

// The right to extend one sequence. Move-only; a lease that dies unreleased drops its cells.
class Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  engine::SequenceId sequence() const { return sequence_; }

 private:
  friend class PrefixCache;
  Lease(PrefixCache* cache, engine::SequenceId sequence) : cache_(cache), sequence_(sequence) {}
  PrefixCache* cache_;
  engine::SequenceId sequence_;
};

class PrefixCache {
 public:
  PrefixCache(engine::Engine& engine, Options options);
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  // False when prompts cannot share cells: the cache is off, or the model's state cannot be cut.
  bool can_share() const { return options_.enabled && cuttable(); }

  // How many tokens of prompt acquire() would not have to compute. At most prompt.size() - 1: the
  // last token is always computed, for its logits.
  std::int32_t reusable(std::span<const TokenId> prompt) const;

  struct Acquired {
    Lease lease;
    std::int32_t device_tokens = 0;  // shared cells
    std::int32_t memory_tokens = 0;  // loaded from RAM
    ReuseStop why = ReuseStop::cold;
  };
  // A sequence that holds the longest known prefix of prompt. Code::busy when every sequence is
  // leased, or the rest of prompt plus headroom cells find no room even with nothing idle kept.
  Result<Acquired> acquire(std::span<const TokenId> prompt, std::int32_t headroom);

  // Frees idle sequences, least recently used first, until count cells or no more of them are left.
  // What they hold and RAM does not is saved first.
  bool make_room(std::int32_t count);

  // The engine has computed these tokens at the sequence's end.
  void grew(const Lease& lease, std::span<const TokenId> tokens);
  // The sequence's cells after `end` are undefined (an aborted decode) or unwanted.
  void cut(const Lease& lease, std::int32_t end);
  std::int32_t length(const Lease& lease) const;

  // Done: the sequence stays as it is, for whoever comes next.
  void release(Lease lease);
  // Its cells are needed now: everything goes to RAM.
  void preempt(Lease lease);

  // Copies one block or tail to RAM that only the device holds. False when there is none. For idle
  // moments: it costs milliseconds.
  bool save_one();

  std::int32_t free_cells() const { return ledger_.free(); }
  std::int32_t used_cells() const { return ledger_.used(); }
  std::int32_t idle_sequences() const;
  const PrefixTree& tree() const { return tree_; }

 private:
  friend class Lease;
  enum class Use { empty, leased, idle };
  struct Held {
    explicit Held(CellLedger& ledger) : cells(ledger) {}
    Use use = Use::empty;
    std::vector<TokenId> tokens;  // tokens[i] is computed at position i
    CellLedger::Account cells;
    std::int32_t saved = 0;  // tokens[0, saved) are in the tree, or could not be saved
    std::uint64_t last_used = 0;
  };
  struct Source {
    engine::SequenceId sequence = -1;
    std::int32_t tokens = 0;  // agreeing with the prompt
    bool ends_here = false;   // some sequence ends exactly there
    bool goes_on = false;     // some sequence goes on differently there
  };
  struct MemoryMatch {
    std::vector<PrefixTree::Step> path;
    std::int32_t known = 0;     // tokens the tree knows, bytes or not
    std::int32_t loadable = 0;  // tokens with bytes from `from` on without a gap
    std::int32_t load_end = 0;  // end of the last of these nodes
    bool ends_here = false;
  };

  bool cuttable() const { return engine_.info().state == engine::StateKind::attention; }
  Held& held(engine::SequenceId sequence) { return held_[static_cast<std::size_t>(sequence)]; }
  const Held& held(engine::SequenceId sequence) const { return held_[static_cast<std::size_t>(sequence)]; }
  Source best_source(std::span<const TokenId> prompt, std::int32_t limit) const;
  Source whole_source(std::span<const TokenId> prompt, std::int32_t limit) const;
  MemoryMatch memory_match(std::span<const TokenId> prompt, std::int32_t from, std::int32_t limit) const;
  ReuseStop why(std::int32_t reused, std::int32_t limit, const Source& source, const MemoryMatch& memory) const;
  std::optional<engine::SequenceId> empty_sequence(engine::SequenceId keep);
  bool evict_idle(engine::SequenceId keep);
  void trim_idle();
  bool evict_until(std::int32_t count, engine::SequenceId keep);
  bool make_room_keeping(std::int32_t count, engine::SequenceId keep);
  bool could_make_room(std::int32_t count, engine::SequenceId keep) const;
  Result<Acquired> acquire_cuttable(std::span<const TokenId> prompt, std::int32_t headroom);
  Result<Acquired> acquire_whole(std::span<const TokenId> prompt, std::int32_t headroom);
  std::int32_t load_blocks(engine::SequenceId sequence, const MemoryMatch& memory, std::int32_t begin,
                           std::int32_t end);
  bool save_next(Held& h, engine::SequenceId sequence);
  void save_all(engine::SequenceId sequence);
  void empty(engine::SequenceId sequence);

  engine::Engine& engine_;
  Options options_;
  CellLedger ledger_;
  PrefixTree tree_;
  std::vector<Held> held_;
  std::uint64_t clock_ = 0;
};

}  // namespace kvern::cache
