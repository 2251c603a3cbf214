#include "cache/prefix_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace kvern::cache {
namespace {

// Below this a match is the template's opening words, not a prompt seen before.
constexpr std::int32_t kMeaningfulTokens = 16;

std::int32_t block_begin(std::int32_t position) { return position / kBlockTokens * kBlockTokens; }

std::int32_t size_of(std::span<const TokenId> tokens) { return static_cast<std::int32_t>(tokens.size()); }

std::span<const TokenId> first(std::span<const TokenId> tokens, std::int32_t count) {
  return tokens.first(static_cast<std::size_t>(count));
}

}  // namespace

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

PrefixCache::PrefixCache(engine::Engine& engine, Options options)
    : engine_(engine), options_(options), ledger_(engine.info().cells), tree_(options.memory_bytes) {
  held_.reserve(static_cast<std::size_t>(engine.info().sequences));
  for (std::int32_t i = 0; i < engine.info().sequences; ++i) held_.emplace_back(ledger_);
}

std::int32_t PrefixCache::reusable(std::span<const TokenId> prompt) const {
  if (!options_.enabled || prompt.empty()) return 0;
  const std::int32_t limit = size_of(prompt) - 1;
  if (!cuttable()) return whole_source(prompt, limit).tokens;
  const Source source = best_source(prompt, limit);
  return std::max(source.tokens, memory_match(prompt, block_begin(source.tokens), limit).loadable);
}

Result<PrefixCache::Acquired> PrefixCache::acquire(std::span<const TokenId> prompt, std::int32_t headroom) {
  CHECK(!prompt.empty());
  if (!cuttable() || !options_.enabled) return acquire_whole(prompt, headroom);
  return acquire_cuttable(prompt, headroom);
}

Result<PrefixCache::Acquired> PrefixCache::acquire_cuttable(std::span<const TokenId> prompt, std::int32_t headroom) {
  const std::int32_t limit = size_of(prompt) - 1;
  const Source source = best_source(prompt, limit);
  MemoryMatch memory = memory_match(prompt, block_begin(source.tokens), limit);
  if (!memory.path.empty()) tree_.touch(memory.path.back().node);
  const bool loads = memory.loadable > source.tokens;
  const std::int32_t base = loads ? block_begin(source.tokens) : source.tokens;
  // A block that agrees in part takes its whole room until it is cut.
  const std::int32_t cells = std::max(size_of(prompt) + headroom, loads ? memory.load_end : 0) - base;

  engine::SequenceId sequence = -1;
  const bool idle_source = base > 0 && held(source.sequence).use == Use::idle;
  const bool covered = idle_source && size_of(held(source.sequence).tokens) == base;
  if (!covered) {
    const engine::SequenceId keep = base > 0 ? source.sequence : -1;
    const auto empty_one = could_make_room(cells, keep) ? empty_sequence(keep) : std::nullopt;
    if (empty_one && make_room_keeping(cells, keep)) {
      sequence = *empty_one;
      if (base > 0) {
        TRY_OK(engine_.fork(source.sequence, sequence, base));
        held(sequence).tokens.assign(prompt.begin(), prompt.begin() + base);
        held(sequence).cells.share(held(source.sequence).cells, base);
        held(sequence).saved = std::min(held(source.sequence).saved, base);
      }
    }
  }
  if (sequence < 0) {
    // Continue in the source's own cells: all of it is wanted, or there is no room beside it.
    const std::int32_t own = idle_source ? size_of(held(source.sequence).tokens) - base : 0;
    if (!idle_source || !could_make_room(cells - own, source.sequence))
      return fail(Code::busy, "no sequence or no cells are free");
    if (!covered) save_all(source.sequence);
    if (!engine_.truncate(source.sequence, base)) return fail(Code::failed, "the engine could not shorten a sequence");
    Held& h = held(source.sequence);
    h.tokens.resize(static_cast<std::size_t>(base));
    h.cells.truncate(base);
    h.saved = std::min(h.saved, base);
    if (!make_room_keeping(cells, source.sequence)) return fail(Code::busy, "no cells are free");
    sequence = source.sequence;
  }
  held(sequence).use = Use::leased;
  Acquired acquired{Lease(this, sequence), base, 0, ReuseStop::cold};
  if (loads) {
    // Making room may have moved things in the tree.
    memory = memory_match(prompt, base, limit);
    acquired.memory_tokens = load_blocks(sequence, memory, base, std::max(base, memory.loadable)) - base;
  }
  acquired.why = why(base + acquired.memory_tokens, limit, source, memory);
  trim_idle();
  return acquired;
}

// For models whose state cannot be cut, and with the cache off: only an idle sequence that is a
// prefix of the prompt as a whole is continued, in place.
Result<PrefixCache::Acquired> PrefixCache::acquire_whole(std::span<const TokenId> prompt, std::int32_t headroom) {
  const std::int32_t limit = size_of(prompt) - 1;
  const Source whole = options_.enabled ? whole_source(prompt, limit) : Source{};
  const std::int32_t cells = size_of(prompt) - whole.tokens + headroom;
  engine::SequenceId sequence = whole.sequence;
  if (sequence < 0) {
    const auto empty_one = empty_sequence(-1);
    if (!empty_one) return fail(Code::busy, "no sequence is free");
    sequence = *empty_one;
  }
  if (!make_room_keeping(cells, sequence)) return fail(Code::busy, "no cells are free");
  Acquired acquired{Lease(this, sequence), whole.tokens, 0, ReuseStop::disabled};
  if (options_.enabled) {
    const Source longest = best_source(prompt, limit);
    const bool cut_would_help = longest.tokens > whole.tokens && longest.tokens >= kMeaningfulTokens;
    acquired.why = cut_would_help ? ReuseStop::snapshot : why(whole.tokens, limit, longest, MemoryMatch{});
  }
  held(sequence).use = Use::leased;
  return acquired;
}

PrefixCache::Source PrefixCache::best_source(std::span<const TokenId> prompt, std::int32_t limit) const {
  Source best;
  const auto wanted = first(prompt, limit);
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const Held& h = held_[i];
    if (h.use == Use::empty) continue;
    const std::int32_t agree = common_prefix(h.tokens, wanted);
    if (agree == 0 || agree < best.tokens) continue;
    const bool ends = agree == size_of(h.tokens);
    if (agree > best.tokens) best = {static_cast<engine::SequenceId>(i), agree, false, false};
    // Among equals an idle sequence that ends here can be continued without a copy.
    if (ends && h.use == Use::idle) best.sequence = static_cast<engine::SequenceId>(i);
    (ends ? best.ends_here : best.goes_on) = true;
  }
  return best;
}

PrefixCache::Source PrefixCache::whole_source(std::span<const TokenId> prompt, std::int32_t limit) const {
  Source best;
  const auto wanted = first(prompt, limit);
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const Held& h = held_[i];
    const std::int32_t length = size_of(h.tokens);
    if (h.use != Use::idle || length <= best.tokens || length > limit) continue;
    if (common_prefix(h.tokens, wanted) == length) best = {static_cast<engine::SequenceId>(i), length, true, false};
  }
  return best;
}

PrefixCache::MemoryMatch PrefixCache::memory_match(std::span<const TokenId> prompt, std::int32_t from,
                                                   std::int32_t limit) const {
  MemoryMatch match;
  match.path = tree_.find(first(prompt, limit));
  bool gap = false;
  for (const PrefixTree::Step& step : match.path) {
    match.known = step.node->begin + step.matched;
    if (step.node->begin < from) continue;
    gap = gap || step.node->bytes.empty();
    if (gap) continue;
    match.loadable = match.known;
    match.load_end = step.node->end();
  }
  if (!match.path.empty()) {
    const PrefixTree::Step& last = match.path.back();
    match.ends_here =
        last.matched == static_cast<std::int32_t>(last.node->tokens.size()) && last.node->children.empty();
  }
  return match;
}

ReuseStop PrefixCache::why(std::int32_t reused, std::int32_t limit, const Source& source,
                           const MemoryMatch& memory) const {
  if (reused >= limit) return ReuseStop::end;
  if (memory.known > reused && memory.known >= kMeaningfulTokens) return ReuseStop::evicted;
  const bool ends = (source.tokens == reused && source.ends_here) || (memory.known == reused && memory.ends_here);
  if (reused == 0 || (reused < kMeaningfulTokens && !ends)) return ReuseStop::cold;
  return ends ? ReuseStop::new_text : ReuseStop::edited;
}

std::int32_t PrefixCache::load_blocks(engine::SequenceId sequence, const MemoryMatch& memory, std::int32_t begin,
                                      std::int32_t end) {
  Held& h = held(sequence);
  for (const PrefixTree::Step& step : memory.path) {
    Node& node = *step.node;
    if (node.begin < begin || node.begin >= end) continue;
    if (const Status loaded = engine_.load(sequence, node.begin, node.end(), node.bytes); !loaded) {
      log::warn("cache block not loaded", {{"position", node.begin}, {"why", loaded.error().message}});
      if (loaded.error().code == Code::corrupt) tree_.forget(&node);
      break;
    }
    h.tokens.insert(h.tokens.end(), node.tokens.begin(), node.tokens.end());
    h.cells.append(static_cast<std::int32_t>(node.tokens.size()));
  }
  const std::int32_t reached = std::min(end, size_of(h.tokens));
  if (reached < size_of(h.tokens)) {
    CHECK(engine_.truncate(sequence, reached));
    h.tokens.resize(static_cast<std::size_t>(reached));
    h.cells.truncate(reached);
  }
  h.saved = std::max(h.saved, reached);
  return reached;
}

std::optional<engine::SequenceId> PrefixCache::empty_sequence(engine::SequenceId keep) {
  const auto find_empty = [&]() -> std::optional<engine::SequenceId> {
    for (std::size_t i = 0; i < held_.size(); ++i) {
      if (held_[i].use == Use::empty) return static_cast<engine::SequenceId>(i);
    }
    return std::nullopt;
  };
  if (auto found = find_empty()) return found;
  return evict_idle(keep) ? find_empty() : std::nullopt;
}

bool PrefixCache::evict_idle(engine::SequenceId keep) {
  engine::SequenceId victim = -1;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const auto id = static_cast<engine::SequenceId>(i);
    if (held_[i].use != Use::idle || id == keep) continue;
    if (victim < 0 || held_[i].last_used < held(victim).last_used) victim = id;
  }
  if (victim < 0) return false;
  save_all(victim);
  empty(victim);
  return true;
}

void PrefixCache::trim_idle() {
  if (options_.memory_bytes == 0) return;  // what left the device would be lost
  const auto idle_cells = [this] {
    std::int32_t sum = 0;
    for (const Held& h : held_) sum += h.use == Use::idle ? h.cells.length() : 0;
    return sum;
  };
  while (idle_cells() > engine_.info().cells / kIdleShare && evict_idle(-1)) {
  }
}

bool PrefixCache::make_room(std::int32_t count) { return evict_until(count, -1); }

bool PrefixCache::evict_until(std::int32_t count, engine::SequenceId keep) {
  while (ledger_.free() < count) {
    if (!evict_idle(keep)) return false;
  }
  return true;
}

// Never says no when make_room_keeping() would say yes.
bool PrefixCache::could_make_room(std::int32_t count, engine::SequenceId keep) const {
  std::int32_t room = ledger_.free();
  for (std::size_t i = 0; i < held_.size(); ++i) {
    if (held_[i].use == Use::idle && static_cast<engine::SequenceId>(i) != keep) room += held_[i].cells.length();
  }
  return room >= count;
}

// Throws nothing away for nothing.
bool PrefixCache::make_room_keeping(std::int32_t count, engine::SequenceId keep) {
  return could_make_room(count, keep) && evict_until(count, keep);
}

void PrefixCache::grew(const Lease& lease, std::span<const TokenId> tokens) {
  Held& h = held(lease.sequence_);
  CHECK(h.use == Use::leased);
  h.tokens.insert(h.tokens.end(), tokens.begin(), tokens.end());
  h.cells.append(size_of(tokens));
}

void PrefixCache::cut(const Lease& lease, std::int32_t end) {
  Held& h = held(lease.sequence_);
  CHECK(end <= size_of(h.tokens));
  if (!engine_.truncate(lease.sequence_, end)) {
    engine_.drop(lease.sequence_);
    end = 0;
  }
  h.tokens.resize(static_cast<std::size_t>(end));
  h.cells.truncate(end);
  h.saved = std::min(h.saved, end);
}

std::int32_t PrefixCache::length(const Lease& lease) const { return size_of(held(lease.sequence_).tokens); }

void PrefixCache::release(Lease lease) {
  const engine::SequenceId sequence = lease.sequence_;
  Held& h = held(sequence);
  if (!options_.enabled || h.tokens.empty()) return;  // the lease's end empties it
  lease.cache_ = nullptr;
  h.use = Use::idle;
  h.last_used = ++clock_;
  if (!cuttable()) return;
  // An idle sequence that is a prefix of another one holds nothing of its own.
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const auto id = static_cast<engine::SequenceId>(i);
    Held& other = held_[i];
    if (id == sequence || other.use != Use::idle) continue;
    const std::int32_t agree = common_prefix(other.tokens, h.tokens);
    if (agree == size_of(other.tokens)) {
      h.saved = std::max(h.saved, other.saved);
      empty(id);
    } else if (agree == size_of(h.tokens)) {
      other.last_used = h.last_used;
      empty(sequence);
      return;
    }
  }
}

void PrefixCache::preempt(Lease lease) {
  const engine::SequenceId sequence = std::exchange(lease.sequence_, -1);
  lease.cache_ = nullptr;
  held(sequence).use = Use::idle;
  save_all(sequence);
  empty(sequence);
}

bool PrefixCache::save_one() {
  if (!options_.enabled || !cuttable() || options_.memory_bytes == 0) return false;
  for (const Use use : {Use::idle, Use::leased}) {
    for (std::size_t i = 0; i < held_.size(); ++i) {
      if (held_[i].use == use && save_next(held_[i], static_cast<engine::SequenceId>(i))) return true;
    }
  }
  return false;
}

// Saves the block after h.saved; a tail only of an idle sequence, because a leased one outgrows it.
bool PrefixCache::save_next(Held& h, engine::SequenceId sequence) {
  const std::int32_t length = size_of(h.tokens);
  const std::int32_t begin = block_begin(h.saved);
  const std::int32_t end = std::min(begin + kBlockTokens, length);
  if (end <= h.saved || (end - begin < kBlockTokens && h.use != Use::idle)) return false;
  Node* node = tree_.insert(h.tokens, begin, end);
  if (!node) {
    h.saved = length;  // an ancestor was evicted meanwhile; save_all() starts over when it matters
    return false;
  }
  h.saved = end;
  if (!node->bytes.empty() || node->end() != end) return true;
  auto bytes = engine_.save(sequence, begin, end);
  if (!bytes) {
    log::warn("cache block not saved", {{"position", begin}, {"why", bytes.error().message}});
    return true;
  }
  tree_.put(node, std::move(*bytes));
  return true;
}

void PrefixCache::save_all(engine::SequenceId sequence) {
  if (!options_.enabled || !cuttable() || options_.memory_bytes == 0) return;
  Held& h = held(sequence);
  h.saved = 0;
  for (const PrefixTree::Step& step : tree_.find(h.tokens)) {
    const bool whole = step.matched == static_cast<std::int32_t>(step.node->tokens.size());
    if (!whole || step.node->bytes.empty()) break;
    h.saved = step.node->end();
  }
  while (save_next(h, sequence)) {
  }
}

void PrefixCache::empty(engine::SequenceId sequence) {
  Held& h = held(sequence);
  engine_.drop(sequence);
  h.use = Use::empty;
  h.tokens.clear();
  h.cells.clear();
  h.saved = 0;
}

std::int32_t PrefixCache::idle_sequences() const {
  return static_cast<std::int32_t>(
      std::count_if(held_.begin(), held_.end(), [](const Held& h) { return h.use == Use::idle; }));
}

}  // namespace kvern::cache
