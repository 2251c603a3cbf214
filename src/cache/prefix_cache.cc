#include "cache/prefix_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "cache/token_spans.h"

namespace kvern::cache {

Lease::Lease(Lease&& other) noexcept
    : cache_(std::exchange(other.cache_, nullptr)), sequence_(std::exchange(other.sequence_, -1)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    if (cache_) cache_->empty(sequence_);
    cache_ = std::exchange(other.cache_, nullptr);
    sequence_ = std::exchange(other.sequence_, -1);
  }
  return *this;
}

Lease::~Lease() {
  if (cache_) cache_->empty(sequence_);
}

PrefixCache::PrefixCache(engine::Engine& engine, Options options, const Clock& clock, RecordStore* store)
    : engine_(engine),
      options_(std::move(options)),
      clock_(clock),
      store_(options_.mode == Mode::full ? store : nullptr),
      fingerprint_(fingerprint(engine.info())),
      tree_(options_.memory_bytes, rates_),
      table_(engine.info().sequences, engine.info().cells) {
  tree_.on_evict = [this](Node& node, Part part) { persist(node, part, node.part(part).ram); };
  tree_.on_replace = [this](const Node& node) {
    if (store_ && (node.rows.on_disk || node.rows.on_way)) store_->remove(record_id(node, Part::rows));
  };
}

Node& PrefixCache::root(std::string_view salt) const { return tree_.root(root_key(fingerprint_, salt)); }

// Time that never stands still, so that what was used later is never as old.
std::int64_t PrefixCache::tick() { return last_tick_us_ = std::max(clock_.now_us(), last_tick_us_ + 1); }

Result<PrefixCache::Acquired> PrefixCache::acquire(std::span<const TokenId> prompt, std::int32_t headroom,
                                                   std::string_view salt, bool loading) {
  CHECK(!prompt.empty());
  Node& root = this->root(salt);
  const std::int32_t limit = size_of(prompt) - 1;
  Choice choice = choose(root, first(prompt, limit), loading);
  const auto cells = [&] { return size_of(prompt) + headroom - choice.base; };

  auto plan = std::make_unique<RestorePlan>(choice.pieces);  // holds the nodes while room is made
  auto sequence = take_sequence(choice, cells());
  if (!sequence && choice.source >= 0 && table_.at(choice.source).use == Use::idle) {
    if (cuttable()) {
      sequence = take_source(choice, cells());
    } else if (could_make_room(cells(), -1)) {
      // There is no room beside the source: its rows go to RAM and come back from there.
      save_all(choice.source);
      empty(choice.source);
      choice = choose(root, first(prompt, limit), loading);
      plan = std::make_unique<RestorePlan>(choice.pieces);
      sequence = take_sequence(choice, cells());
    }
  }
  if (!sequence) return fail(Code::busy, "no sequence or no cells are free");
  TRY_OK(share(choice, *sequence, prompt));

  Held& h = table_.at(*sequence);
  h.use = Use::leased;
  h.root = &root;
  h.plan = plan->finished() ? nullptr : std::move(plan);
  use(root, first(prompt, choice.end), choice.pieces);
  Acquired acquired{Lease(this, *sequence), {}};
  acquired.reused.device_tokens = choice.base;
  acquired.reused.memory_tokens = choice.end - choice.base;  // restore() tells RAM from disk
  acquired.reused.why = why(choice, limit);
  acquired.reused.branch = choice.known;
  acquired.reused.held = std::move(choice.held);
  if (options_.mode == Mode::full) trim_idle();
  return acquired;
}

std::int32_t PrefixCache::reusable(std::span<const TokenId> prompt, std::string_view salt) const {
  if (prompt.empty()) return 0;
  return choose(root(salt), first(prompt, size_of(prompt) - 1)).end;
}

// A sequence for what is chosen, with room for so many more cells; nothing is thrown away for nothing.
std::optional<engine::SequenceId> PrefixCache::take_sequence(Choice& choice, std::int32_t cells) {
  const engine::SequenceId keep = choice.source;
  if (!could_make_room(cells, keep)) return std::nullopt;
  if (choice.in_place) {
    if (!evict_until(cells, keep)) return std::nullopt;
    return choice.source;
  }
  if (!table_.first_empty() && !evict_idle(keep)) return std::nullopt;
  if (!evict_until(cells, keep)) return std::nullopt;
  return table_.first_empty();
}

// Continue in the source's own cells: all of it is wanted, or there is no room beside it.
std::optional<engine::SequenceId> PrefixCache::take_source(Choice& choice, std::int32_t cells) {
  Held& h = table_.at(choice.source);
  const std::int32_t own = size_of(h.tokens) - choice.base;
  if (!could_make_room(cells - own, choice.source)) return std::nullopt;
  save_all(choice.source);
  if (!engine_.truncate(choice.source, choice.base)) return std::nullopt;
  h.tokens.resize(static_cast<std::size_t>(choice.base));
  h.cells.truncate(choice.base);
  h.saved = std::min(h.saved, choice.base);
  choice.in_place = true;
  return take_sequence(choice, cells);
}

Status PrefixCache::share(const Choice& choice, engine::SequenceId sequence, std::span<const TokenId> prompt) {
  if (choice.in_place || choice.base == 0) return {};
  TRY_OK(engine_.fork(choice.source, sequence, choice.base));
  Held& h = table_.at(sequence);
  const Held& source = table_.at(choice.source);
  h.tokens.assign(prompt.begin(), prompt.begin() + choice.base);
  h.cells.share(source.cells, choice.base);
  h.saved = std::min(source.saved, choice.base);
  return {};
}

// What a prompt uses is worth more from now on, and what is used again is worth the disk.
void PrefixCache::use(const Node& root, std::span<const TokenId> prompt, const std::vector<Piece>& pieces) {
  if (prompt.empty() || !can_share()) return;
  const std::int64_t now = tick();
  for (const PrefixTree::Step& step : tree_.find(root, prompt)) use(*step.node, now);
  for (const Piece& piece : pieces) {
    if (piece.node->last_used_us != now) use(*piece.node, now);  // a snapshot may lie beside the path
  }
}

void PrefixCache::use(Node& node, std::int64_t now_us) {
  ++node.hits;
  node.last_used_us = now_us;
  if (!store_) return;
  for (const Part part : {Part::rows, Part::state}) {
    const Copy& copy = node.part(part);
    if (copy.on_disk) {
      store_->touch(record_id(node, part));
    } else if (copy.ram && now_us >= refused_until_us_) {
      persist(node, part, copy.ram);
    }
  }
}

bool PrefixCache::evict_idle(engine::SequenceId keep) {
  const engine::SequenceId victim = table_.oldest_idle(keep);
  if (victim < 0) return false;
  save_all(victim);
  empty(victim);
  return true;
}

void PrefixCache::trim_idle() {
  if (options_.memory_bytes == 0) return;  // what left the device would be lost
  while (table_.idle_cells(-1) > engine_.info().cells / kIdleShare && evict_idle(-1)) {
  }
}

void PrefixCache::vacate() {
  if (!can_share() || options_.memory_bytes == 0 || engine_.info().rows_in_parallel) return;
  for (engine::SequenceId id = 0; id < table_.size(); ++id) {
    const Held& h = table_.at(id);
    if (h.use != Use::idle || rows_computed_ - h.idle_since_row < kRowsBesideIdle) continue;
    if (is_in_memory(h)) empty(id);
  }
}

// All of it, now: what was saved may have been evicted since.
bool PrefixCache::is_in_memory(const Held& h) const {
  const std::int32_t end = size_of(h.tokens);
  if (!cuttable()) {
    const std::vector<Node*> states = tree_.states(*h.root, h.tokens);
    if (states.empty() || states.front()->end() != end || !states.front()->state.ram) return false;
  }
  if (!engine_.info().has_rows) return true;
  std::vector<Piece> pieces;
  return collect_rows(tree_.find(*h.root, h.tokens), 0, end, pieces) &&
         std::all_of(pieces.begin(), pieces.end(), [](const Piece& piece) { return piece.node->rows.ram != nullptr; });
}

bool PrefixCache::make_room(std::int32_t count) { return evict_until(count, -1); }

bool PrefixCache::evict_until(std::int32_t count, engine::SequenceId keep) {
  while (free_cells() < count) {
    if (!evict_idle(keep)) return false;
  }
  return true;
}

// Never says no when evict_until() would say yes.
bool PrefixCache::could_make_room(std::int32_t count, engine::SequenceId keep) const {
  return free_cells() + table_.idle_cells(keep) >= count;
}

void PrefixCache::grew(const Lease& lease, std::span<const TokenId> tokens, std::int64_t us) {
  Held& h = table_.at(lease.sequence_);
  CHECK(h.use == Use::leased && !h.plan);
  rates_.computed(size_of(h.tokens), size_of(tokens), us);
  h.tokens.insert(h.tokens.end(), tokens.begin(), tokens.end());
  h.cells.append(size_of(tokens));
  rows_computed_ += size_of(tokens);
}

void PrefixCache::cut(const Lease& lease, std::int32_t end) {
  Held& h = table_.at(lease.sequence_);
  CHECK(end <= size_of(h.tokens));
  h.plan.reset();
  if (!engine_.truncate(lease.sequence_, end)) {
    engine_.drop(lease.sequence_);
    end = 0;
  }
  h.tokens.resize(static_cast<std::size_t>(end));
  h.cells.truncate(end);
  h.saved = std::min(h.saved, end);
}

std::int32_t PrefixCache::length(const Lease& lease) const { return size_of(table_.at(lease.sequence_).tokens); }

void PrefixCache::release(Lease lease) {
  const engine::SequenceId sequence = lease.sequence_;
  Held& h = table_.at(sequence);
  const bool half_restored = h.plan && !cuttable();
  if (options_.mode == Mode::off || h.tokens.empty() || half_restored) return;  // the lease's end empties it
  lease.cache_ = nullptr;
  h.plan.reset();
  h.use = Use::idle;
  h.last_used_us = tick();
  h.idle_since_row = rows_computed_;
  if (needs_boundaries()) save_state(h, sequence);
  if (cuttable()) drop_if_covered(sequence);
}

// An idle sequence that is a prefix of another one holds nothing of its own.
void PrefixCache::drop_if_covered(engine::SequenceId sequence) {
  Held& h = table_.at(sequence);
  for (engine::SequenceId id = 0; id < table_.size(); ++id) {
    Held& other = table_.at(id);
    if (id == sequence || other.use != Use::idle || other.root != h.root) continue;
    const std::int32_t agree = common_prefix(other.tokens, h.tokens);
    if (agree == size_of(other.tokens)) {
      h.saved = std::max(h.saved, other.saved);
      empty(id);
    } else if (agree == size_of(h.tokens)) {
      other.last_used_us = h.last_used_us;
      other.idle_since_row = h.idle_since_row;
      empty(sequence);
      return;
    }
  }
}

void PrefixCache::preempt(Lease lease) {
  const engine::SequenceId sequence = std::exchange(lease.sequence_, -1);
  lease.cache_ = nullptr;
  Held& h = table_.at(sequence);
  const bool half_restored = h.plan && !cuttable();
  h.plan.reset();
  if (!half_restored) {
    h.use = Use::idle;
    if (needs_boundaries()) save_state(h, sequence);
    save_all(sequence);
  }
  empty(sequence);
}

void PrefixCache::empty(engine::SequenceId sequence) {
  engine_.drop(sequence);
  table_.clear(sequence);
}

void PrefixCache::count(const Usage& usage) {
  const auto add = [](std::uint64_t& sum, std::int32_t tokens) {
    sum += static_cast<std::uint64_t>(std::max(tokens, 0));
  };
  add(counters_.prompt_tokens, usage.prompt_tokens - usage.pending_tokens);
  add(counters_.device_tokens, usage.reused_device_tokens);
  add(counters_.memory_tokens, usage.reused_memory_tokens);
  add(counters_.disk_tokens, usage.reused_disk_tokens);
  add(counters_.computed_tokens, usage.computed_tokens());
}

CacheReport PrefixCache::report() const {
  CacheReport report = counters_;
  report.mode = options_.mode == Mode::full ? "full" : options_.mode == Mode::off ? "off" : "whole sequences";
  report.mode_reason = options_.mode_reason;
  report.cells = engine_.info().cells;
  report.cells_used = used_cells();
  report.sequences = table_.size();
  report.sequences_idle = idle_sequences();
  report.ram_bytes = tree_.bytes();
  report.ram_budget_bytes = tree_.budget_bytes();
  report.ram_evictions = tree_.evictions();
  report.prefill_tokens_s = rates_.tokens_per_s();
  report.disk_bytes_s = rates_.disk_bytes_per_s();
  tree_.for_each([&](const Node& node) {
    for (const Copy* copy : {&node.rows, &node.state}) {
      report.records_ram += copy->ram != nullptr;
      report.records_disk += copy->on_disk;
    }
    report.snapshots += node.state.anywhere();
  });
  return report;
}

std::vector<HeldRecord> PrefixCache::records() const {
  std::vector<HeldRecord> records;
  const std::int64_t now = clock_.now_us();
  tree_.for_each([&](const Node& node) {
    for (const Part part : {Part::rows, Part::state}) {
      const Copy& copy = node.part(part);
      if (!copy.anywhere()) continue;
      const double idle_s = static_cast<double>(std::max<std::int64_t>(0, now - node.last_used_us)) / 1e6;
      records.push_back({record_id(node, part).kind, node.key, node.parent->key, node.begin, node.end(),
                         copy.ram ? copy.bytes : 0, copy.on_disk, node.hits, idle_s});
    }
  });
  return records;
}

}  // namespace kvern::cache
