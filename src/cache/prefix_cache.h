// Finds, shares, loads and keeps what was computed before, so that no prompt token is computed twice.
//
// Three tiers behind one prefix tree. Device: cells of sequences, running or idle; a prompt forks the
// sequence it has most in common with (metadata only). RAM and disk: records in the tree, loaded into
// cells piece by piece when the device holds less and loading is faster than computing. Rows are
// exact at token granularity in all of them. A state that cannot be cut (sliding window, recurrent)
// is kept as snapshots at the positions a prompt may return to; reuse goes to the deepest of these.
//
// Saving and loading happen between decode steps, a few milliseconds at a time: save_one() and
// restore() are called by whoever knows what else waits. Writing to disk is the store's thread's.
//
// Thread: engine. Owns the engine's sequence ids; nobody else forks, drops or loads.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/cache_report.h"
#include "cache/prefix_tree.h"
#include "cache/rates.h"
#include "cache/record_store.h"
#include "cache/sequence_table.h"
#include "core/usage.h"
#include "engine/engine.h"

namespace kvern::cache {

// Idle sequences keep at most this part of the cells while others run: attention walks over every
// cell in use at each step, and RAM brings a block back in milliseconds.
inline constexpr std::int32_t kIdleShare = 8;  // one eighth
// Where rows are computed one by one, each row that others compute pays for every idle cell. After about so many rows a
// cell has cost what loading it from RAM does: 40 for SmolLM2, 130 for a model of 8B.
inline constexpr std::int64_t kRowsBesideIdle = 128;
// A conversation that rests this long goes to disk.
inline constexpr std::int64_t kWriteBehind_us = 2'000'000;

enum class Mode {
  full,
  whole_sequences,  // only a whole idle sequence is continued, in place; nothing is saved or loaded
  off,              // every prompt is computed from its first token
};

struct Options {
  std::uint64_t memory_bytes = 0;  // RAM tier's budget; 0: none
  Mode mode = Mode::full;
  std::string mode_reason{};  // why not full, for people
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
  // store may be null: no disk tier. All must outlive the cache.
  PrefixCache(engine::Engine& engine, Options options, const Clock& clock, RecordStore* store = nullptr);
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  // A record the store holds from earlier runs; parents first. Unreachable ones are removed from it.
  void add_stored(const RecordInfo& info, std::uint64_t payload_bytes, std::int64_t idle_s);

  // False when prompts cannot share anything: the cache is off, or only whole sequences go on.
  bool can_share() const { return options_.mode == Mode::full; }
  // True when state has to be saved at the positions others may want to share: see boundary().
  bool needs_boundaries() const { return can_share() && !cuttable(); }

  // How many tokens of prompt acquire() would not have to compute. At most prompt.size() - 1: the
  // last token is always computed, for its logits.
  std::int32_t reusable(std::span<const TokenId> prompt, std::string_view salt) const;

  struct Reused {
    std::int32_t device_tokens = 0;  // shared cells
    std::int32_t memory_tokens = 0;  // loaded from RAM
    std::int32_t disk_tokens = 0;
    ReuseStop why = ReuseStop::cold;
    // The deepest position known to be shared with another prompt; beyond what was reused when the
    // state could not be cut there.
    std::int32_t branch = 0;
    std::vector<TokenId> held;  // what was known to follow there, up to 10 tokens

    std::int32_t tokens() const { return device_tokens + memory_tokens + disk_tokens; }
  };
  struct Acquired {
    Lease lease;
    Reused reused;  // when restore() is done; it may turn out to be less
  };
  // A sequence for prompt. Call restore() until it is done before computing. Code::busy when every
  // sequence is leased, or the rest of prompt plus headroom cells find no room even with nothing idle
  // kept.
  // loading: false leaves RAM and disk alone, for a prompt whose loads were lost before.
  Result<Acquired> acquire(std::span<const TokenId> prompt, std::int32_t headroom, std::string_view salt = {},
                           bool loading = true);

  enum class Restore {
    done,
    more,     // call again: more can be loaded now
    waiting,  // the disk is reading; the store's event will tell
    lost,     // what was to be loaded is gone, and the rest is of no use: give the lease up and acquire
              // anew, soon without loading. reused.why says whether it was damaged
  };
  // Loads what acquire() found into the sequence, about bytes_max of it but at least one piece. On
  // done, reused says what was really reused; bytes that turned out damaged only make it less.
  Restore restore(const Lease& lease, std::uint64_t bytes_max, Reused& reused);

  // Frees idle sequences, least recently used first, until count cells or no more of them are left.
  // What they hold and RAM does not is saved first.
  bool make_room(std::int32_t count);

  // On an engine that computes rows one by one, idle sequences that are wholly in RAM leave after others computed
  // kRowsBesideIdle. Otherwise nothing. Before a step that computes something; cheap.
  void vacate();

  // The engine has computed these tokens at the sequence's end; us: how long the whole step took, 0
  // when it says nothing about prefill.
  void grew(const Lease& lease, std::span<const TokenId> tokens, std::int64_t us = 0);
  // The sequence ends where others may go on: its state is saved when it could not be cut here later.
  void boundary(const Lease& lease);
  // The sequence's cells after `end` are undefined (an aborted decode) or unwanted.
  void cut(const Lease& lease, std::int32_t end);
  std::int32_t length(const Lease& lease) const;

  // Done: the sequence stays as it is, for whoever comes next.
  void release(Lease lease);
  // Its cells are needed now: everything goes to RAM.
  void preempt(Lease lease);

  // Copies one block or tail to RAM that only the device holds. False when there is none. It costs
  // milliseconds.
  bool save_one();

  // Takes the store's events, and hands it what has rested long enough. Returns when to come again:
  // us from now, -1: not before something else happens.
  std::int64_t poll();

  // Everything there is goes to RAM and on to the store: before the end of the process.
  void flush();

  std::int32_t free_cells() const { return table_.ledger().free(); }
  std::int32_t used_cells() const { return table_.ledger().used(); }
  std::int32_t idle_sequences() const { return table_.idle_count(); }
  const PrefixTree& tree() const { return tree_; }
  PrefixTree& tree() { return tree_; }
  Node& root(std::string_view salt) const;

  // A request ended: for the report's counters.
  void count(const Usage& usage);

  CacheReport report() const;
  std::vector<HeldRecord> records() const;

 private:
  friend class Lease;

  // What a prompt can start from.
  struct Choice {
    engine::SequenceId source = -1;  // whose cells are shared up to base
    std::int32_t base = 0;
    bool in_place = false;  // source is idle, ends at base and is continued itself
    std::vector<Piece> pieces;
    std::int32_t end = 0;       // tokens held when the pieces are loaded
    std::int32_t known = 0;     // tokens known to any tier, usable or not
    bool known_ends = false;    // what is known ends there
    bool evicted = false;       // more was known, but its bytes are gone
    std::vector<TokenId> held;  // what was known to follow
  };
  // True: room was made for a load that found none.
  bool make_room_for(const Piece& piece, engine::SequenceId sequence);

  bool cuttable() const { return engine_.info().state == engine::StateKind::attention; }
  bool saves() const { return can_share() && (options_.memory_bytes > 0 || store_); }
  std::int64_t tick();

  Choice choose(const Node& root, std::span<const TokenId> prompt, bool loading = true) const;
  void choose_rows(const Node& root, std::span<const TokenId> prompt, Choice& choice) const;
  void choose_state(const Node& root, std::span<const TokenId> prompt, bool loading, Choice& choice) const;
  bool collect_rows(const std::vector<PrefixTree::Step>& path, std::int32_t begin, std::int32_t end,
                    std::vector<Piece>& pieces) const;
  bool worth_reading(const std::vector<Piece>& pieces, std::int32_t begin, std::int32_t end) const;
  void look_beyond(const Node& root, std::span<const TokenId> prompt, Choice& choice) const;
  ReuseStop why(const Choice& choice, std::int32_t limit) const;

  std::optional<engine::SequenceId> take_sequence(Choice& choice, std::int32_t cells);
  std::optional<engine::SequenceId> take_source(Choice& choice, std::int32_t cells);
  Status share(const Choice& choice, engine::SequenceId sequence, std::span<const TokenId> prompt);
  void use(const Node& root, std::span<const TokenId> prompt, const std::vector<Piece>& pieces);
  void use(Node& node, std::int64_t now_us);
  bool evict_idle(engine::SequenceId keep);
  void trim_idle();
  bool is_in_memory(const Held& h) const;
  bool evict_until(std::int32_t count, engine::SequenceId keep);
  bool could_make_room(std::int32_t count, engine::SequenceId keep) const;
  void drop_if_covered(engine::SequenceId sequence);
  void empty(engine::SequenceId sequence);

  void read_ahead(RestorePlan& plan);
  Status load_piece(Held& h, engine::SequenceId sequence, const Piece& piece, const engine::Bytes& bytes);
  Restore give_up(Held& h, Reused& reused);
  void forget(Node& node, Part part);

  bool save_next(Held& h, engine::SequenceId sequence);
  void save_all(engine::SequenceId sequence);
  void save_state(Held& h, engine::SequenceId sequence);
  void thin_states(Node& tip);
  void keep(Node& node, Part part, engine::Bytes bytes);
  void rest(Node& node, std::int64_t due_us);
  bool persist(Node& node, Part part, const SharedBytes& bytes);
  void handle(const StoreEvent& event);

  engine::Engine& engine_;
  Options options_;
  const Clock& clock_;
  RecordStore* store_;
  const Key fingerprint_;
  Rates rates_;
  mutable PrefixTree tree_;  // root() makes empty roots
  SequenceTable table_;      // its plans point into the tree
  std::int64_t last_tick_us_ = 0;
  std::int64_t rows_computed_ = 0;
  struct Rest {
    Key key;
    std::int64_t due_us;
  };
  std::deque<Rest> resting_;  // nodes with something in RAM that is not on disk, by due time
  std::int64_t refused_until_us_ = 0;
  CacheReport counters_;
};

}  // namespace kvern::cache
