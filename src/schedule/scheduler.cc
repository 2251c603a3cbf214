#include "schedule/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kvern::schedule {
namespace {

// A shared prefix shorter than this is computed again rather than waited for.
constexpr std::int32_t kWorthWaitingTokens = 16;
// Cells a sequence should find free beyond its prompt when it starts, so that it does not get
// preempted at once.
constexpr std::int32_t kHeadroomTokens = 64;

}  // namespace

Scheduler::Scheduler(engine::Engine& engine, cache::PrefixCache& cache, constrain::Compiler& compiler,
                     const Clock& clock, SchedulerOptions options)
    : engine_(engine),
      cache_(cache),
      compiler_(compiler),
      clock_(clock),
      options_(options),
      context_(std::min(engine.info().context, engine.info().cells)),
      seeds_(options.seed) {
  options_.limits.batch = std::min(options_.limits.batch, engine.info().batch);
  options_.parallel = std::clamp(options_.parallel, 1, engine.info().sequences);
}

Scheduler::~Scheduler() = default;

Status Scheduler::submit(GenerateRequest request, std::shared_ptr<Stream> stream) {
  const std::size_t prompt = request.prompt.tokens.size();
  if (prompt == 0) return fail(Code::invalid, "the prompt has no tokens");
  if (prompt >= static_cast<std::size_t>(context_))
    return fail(Code::too_long, fmt::format("prompt is too long: {} tokens > {} maximum. Shorten it, or start the "
                                            "server with a larger --context.",
                                            prompt, context_ - 1));
  if (submitted_.fetch_add(1) >= static_cast<std::int32_t>(options_.waiting_max) + options_.parallel) {
    submitted_.fetch_sub(1);
    return fail(Code::busy,
                fmt::format("{} requests are waiting already; try again in a moment", options_.waiting_max));
  }
  const Status queued = enqueue(std::move(request), std::move(stream));
  if (!queued) submitted_.fetch_sub(1);
  return queued;
}

Status Scheduler::enqueue(GenerateRequest request, std::shared_ptr<Stream> stream) {
  Sequence::Start start;
  if (!request.constraint.lark.empty()) {
    TRY(start.constraint, compiler_.compile(request.constraint.lark));
    std::string().swap(request.constraint.lark);  // compiled; it may be megabytes
  }
  stream->on_room = [this] { wake(); };
  start.request = std::move(request);
  start.stream = std::move(stream);
  start.submitted_us = clock_.now_us();
  {
    const std::lock_guard lock(inbox_mutex_);
    start.arrival = arrivals_++;
    start.seed = seeds_();
  }
  auto sequence = std::make_unique<Sequence>(std::move(start), engine_.vocab(), context_);
  {
    const std::lock_guard lock(inbox_mutex_);
    if (stopped_) return fail(Code::busy, "the server is shutting down");
    inbox_.push_back(std::move(sequence));
  }
  wake();
  return {};
}

void Scheduler::wake() {
  {
    const std::lock_guard lock(inbox_mutex_);
    awake_ = true;
  }
  inbox_changed_.notify_one();
}

void Scheduler::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (step()) continue;
    if (!cache_.save_one()) wait_for_work(stop);
  }
  {
    const std::lock_guard lock(inbox_mutex_);
    stopped_ = true;
  }
  drain_inbox();
  while (!running_.empty()) end_running(running_.size() - 1, {FinishReason::cancelled, {}, {}, {}});
  for (; !waiting_.empty(); waiting_.pop_front())
    end(std::move(waiting_.front()), {FinishReason::cancelled, {}, {}, {}});
}

void Scheduler::wait_for_work(const std::stop_token& stop) {
  std::unique_lock lock(inbox_mutex_);
  inbox_changed_.wait(lock, stop, [this] { return awake_; });
  awake_ = false;
}

bool Scheduler::step() {
  drain_inbox();
  drop_cancelled();
  admit();
  make_plan();
  publish_stats();
  if (plan_.tokens == 0) return false;
  if (!secure_cells()) return true;
  decode();
  return true;
}

void Scheduler::drain_inbox() {
  std::vector<SequencePtr> arrived;
  {
    const std::lock_guard lock(inbox_mutex_);
    arrived.swap(inbox_);
    awake_ = false;
  }
  for (SequencePtr& sequence : arrived) waiting_.push_back(std::move(sequence));
}

void Scheduler::drop_cancelled() {
  for (std::size_t i = running_.size(); i-- > 0;) {
    if (running_[i]->stream().cancelled()) end_running(i, {FinishReason::cancelled, {}, {}, {}});
  }
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!(*it)->stream().cancelled()) {
      ++it;
      continue;
    }
    SequencePtr gone = std::move(*it);
    it = waiting_.erase(it);
    end(std::move(gone), {FinishReason::cancelled, {}, {}, {}});
  }
}

// Oldest first. Who waits for a shared prefix lets others pass; who waits for cells does not, or a
// long prompt would starve. Parked sequences do not count: a slow reader holds cells, not a place.
void Scheduler::admit() {
  if (crowded_ && !running_.empty()) return;
  crowded_ = false;
  std::int32_t active = static_cast<std::int32_t>(
      std::count_if(running_.begin(), running_.end(), [](const auto& sequence) { return !sequence->parked(); }));
  for (auto it = waiting_.begin(); it != waiting_.end() && active < options_.parallel;) {
    if (must_wait_for_prefix(**it)) {
      ++it;
      continue;
    }
    const Status started = start(**it);
    if (!started && started.error().code == Code::busy && !running_.empty()) break;
    SequencePtr sequence = std::move(*it);
    it = waiting_.erase(it);
    if (started) {
      running_.push_back(std::move(sequence));
      ++active;
    } else {
      end(std::move(sequence), {FinishReason::failed, {}, started.error(), {}});
    }
  }
  std::sort(running_.begin(), running_.end(), [](const auto& a, const auto& b) { return a->arrival() < b->arrival(); });
}

// True while a running prefill is about to compute tokens this prompt begins with.
bool Scheduler::must_wait_for_prefix(const Sequence& waiting) const {
  if (!cache_.can_share()) return false;
  std::int32_t held = -1;
  for (const SequencePtr& running : running_) {
    if (running->pending() <= 1 || running->parked()) continue;
    const std::int32_t shared = std::min(cache::common_prefix(waiting.tokens(), running->tokens()), waiting.size() - 1);
    if (shared <= running->computed) continue;
    if (held < 0) held = cache_.reusable(waiting.tokens());
    if (shared - held >= kWorthWaitingTokens) return true;
  }
  return false;
}

Status Scheduler::start(Sequence& sequence) {
  const std::int32_t headroom = std::clamp(context_ - sequence.size(), 0, kHeadroomTokens);
  auto acquired = cache_.acquire(sequence.tokens(), headroom);
  if (!acquired && acquired.error().code == Code::busy && running_.empty()) {
    acquired = cache_.acquire(sequence.tokens(), 0);  // alone: whatever room there is
  }
  if (!acquired) return tl::unexpected(std::move(acquired).error());
  sequence.computed = acquired->device_tokens + acquired->memory_tokens;
  sequence.lease.emplace(std::move(acquired->lease));
  const bool resumed = sequence.started();
  if (!resumed) {
    sequence.usage.reused_device_tokens = acquired->device_tokens;
    sequence.usage.reused_memory_tokens = acquired->memory_tokens;
    sequence.usage.pending_tokens = sequence.usage.prompt_tokens - sequence.computed;
    sequence.usage.why = acquired->why;
    sequence.usage.queue_us = clock_.now_us() - sequence.submitted_us();
  }
  return {};
}

void Scheduler::make_plan() {
  items_.clear();
  for (const SequencePtr& sequence : running_)
    items_.push_back({sequence->pending(), sequence->decoding(), sequence->parked()});
  schedule::make_plan(items_, options_.limits, plan_);
}

// Cells for the planned step: what is short is cut from its end, where the prefills are. Only when
// there is not one cell does somebody have to go; then the next round plans anew.
bool Scheduler::secure_cells() {
  if (cache_.make_room(plan_.tokens)) return true;
  const std::int32_t room = cache_.free_cells();
  if (room == 0) {
    give_way();
    return false;
  }
  while (plan_.tokens > room) {
    PlanShare& last = plan_.shares.back();
    const std::int32_t cut = std::min(last.tokens, plan_.tokens - room);
    last.tokens -= cut;
    plan_.tokens -= cut;
    if (last.tokens == 0) plan_.shares.pop_back();
  }
  return true;
}

// The youngest goes back to waiting, and nobody is admitted until somebody else has ended, or it
// would be back at once. Alone, it has all the cells there are: its turn ends.
void Scheduler::give_way() {
  if (running_.size() == 1) return end_running(0, {FinishReason::length, {}, {}, {}});
  preempt_youngest();
  crowded_ = true;
}

void Scheduler::preempt_youngest() {
  SequencePtr youngest = std::move(running_.back());
  running_.pop_back();
  log::info("preempted", {{"id", youngest->request().id}, {"tokens", youngest->size()}});
  cache_.preempt(std::move(*youngest->lease));
  youngest->lease.reset();
  youngest->computed = 0;
  waiting_.push_front(std::move(youngest));
}

void Scheduler::decode() {
  batch_.clear();
  for (const PlanShare& share : plan_.shares) {
    const Sequence& sequence = *running_[share.item];
    for (std::int32_t i = 0; i < share.tokens; ++i) {
      const std::int32_t position = sequence.computed + i;
      batch_.push_back({sequence.tokens()[static_cast<std::size_t>(position)], sequence.lease->sequence(), position,
                        position + 1 == sequence.size()});
    }
  }
  const auto decoded = engine_.decode(batch_);
  if (decoded && *decoded == engine::Decoded::ok) {
    settle();
  } else if (decoded && *decoded == engine::Decoded::no_room) {
    // The ledger never counts too few, so the engine has lost cells to fragmentation at worst.
    if (!cache_.make_room(cache_.free_cells() + 1)) give_way();
  } else if (decoded) {
    for (const PlanShare& share : plan_.shares)
      cache_.cut(*running_[share.item]->lease, running_[share.item]->computed);
    for (const SequencePtr& sequence : running_) sequence->computed = cache_.length(*sequence->lease);
  } else {
    log::error("decode failed", {{"why", decoded.error().message}});
    while (!running_.empty()) {
      Sequence& last = *running_.back();
      cache_.cut(*last.lease, 0);  // nothing computed beside a failure is trusted
      end_running(running_.size() - 1, {FinishReason::failed, {}, decoded.error(), {}});
    }
  }
}

void Scheduler::settle() {
  std::size_t row = 0;
  std::vector<std::pair<std::size_t, Ending>> endings;
  for (const PlanShare& share : plan_.shares) {
    Sequence& sequence = *running_[share.item];
    const auto computed =
        sequence.tokens().subspan(static_cast<std::size_t>(sequence.computed), static_cast<std::size_t>(share.tokens));
    cache_.grew(*sequence.lease, computed);
    sequence.computed += share.tokens;
    sequence.usage.pending_tokens =
        std::clamp(sequence.usage.prompt_tokens - sequence.computed, 0, sequence.usage.pending_tokens);
    row += static_cast<std::size_t>(share.tokens);
    if (sequence.pending() > 0) continue;
    const bool first = !sequence.started();
    Progress progress = sequence.advance(engine_.logits(row - 1));
    if (first) {
      sequence.first_token_us = clock_.now_us();
      sequence.usage.ttft_us = sequence.first_token_us - sequence.submitted_us();
    }
    if (progress.ended) endings.emplace_back(share.item, std::move(progress.ending));
  }
  std::sort(endings.begin(), endings.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (auto& [index, ending] : endings) end_running(index, std::move(ending));
}

void Scheduler::end_running(std::size_t index, Ending ending) {
  SequencePtr sequence = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  crowded_ = false;
  end(std::move(sequence), std::move(ending));
}

void Scheduler::end(SequencePtr sequence, Ending ending) {
  if (sequence->lease) cache_.release(std::move(*sequence->lease));
  sequence->lease.reset();
  if (ending.stop.empty()) sequence->flush();
  Usage& usage = sequence->usage;
  if (sequence->started()) usage.decode_us = clock_.now_us() - sequence->first_token_us;
  const double decode_s = static_cast<double>(usage.decode_us) / 1e6;
  const double rate = decode_s > 0 && usage.completion_tokens > 1 ? (usage.completion_tokens - 1) / decode_s : 0;
  log::info("request", {{"id", sequence->request().id},
                        {"prompt", usage.prompt_tokens},
                        {"reused", usage.reused_tokens()},
                        {"memory", usage.reused_memory_tokens},
                        {"computed", usage.computed_tokens()},
                        {"why", to_string(usage.why)},
                        {"queue_ms", static_cast<double>(usage.queue_us) / 1e3},
                        {"ttft_ms", static_cast<double>(usage.ttft_us) / 1e3},
                        {"out", usage.completion_tokens},
                        {"tok_s", rate},
                        {"finish", to_string(ending.reason)}});
  ending.usage = usage;
  submitted_.fetch_sub(1);
  publish_stats();
  sequence->stream().end(std::move(ending));
}

void Scheduler::publish_stats() {
  stats_running_.store(static_cast<std::int32_t>(running_.size()), std::memory_order_relaxed);
  stats_waiting_.store(static_cast<std::int32_t>(waiting_.size()), std::memory_order_relaxed);
}

SchedulerStats Scheduler::stats() const {
  return {stats_running_.load(std::memory_order_relaxed), stats_waiting_.load(std::memory_order_relaxed)};
}

}  // namespace kvern::schedule
