#include "schedule/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kvern::schedule {
namespace {

std::int32_t draft_max(const engine::Info& info, const SchedulerOptions& options) {
  if (!info.takes_back) return 0;
  const bool pays = info.rows_in_parallel || options.draft_model != nullptr;
  return options.draft_max.value_or(pays ? limits::kDraftTokens : 0);
}

constexpr std::uint64_t kRestoreBytes = 64ULL << 20;  // at once, when nobody decodes

}  // namespace

Scheduler::Scheduler(engine::Engine& engine, cache::PrefixCache& cache, constrain::Compiler& compiler,
                     const Clock& clock, SchedulerOptions options)
    : engine_(engine),
      cache_(cache),
      compiler_(compiler),
      clock_(clock),
      options_(options),
      draft_max_(draft_max(engine.info(), options)),
      context_(std::min(engine.info().context, engine.info().cells)),
      seeds_(options.seed),
      credit_(options.latency_target) {
  // Who comes while a step computes waits for its end. Not by measured time: where a prompt is cut decides its last
  // bits.
  options_.limits.batch = std::min({options_.limits.batch, engine.info().batch, engine.info().efficient_batch});
  options_.parallel = std::clamp(options_.parallel, 1, engine.info().sequences);
}

Scheduler::~Scheduler() = default;

Status Scheduler::check_length(std::size_t prompt_tokens) const {
  if (prompt_tokens < static_cast<std::size_t>(context_)) return {};
  return fail(Code::too_long, fmt::format("prompt is too long: {} tokens > {} maximum. Shorten it, or start the "
                                          "server with a larger --context.",
                                          prompt_tokens, context_ - 1));
}

Status Scheduler::submit(GenerateRequest request, std::shared_ptr<Stream> stream) {
  const std::size_t prompt = request.prompt.tokens.size();
  if (prompt == 0) return fail(Code::invalid, "the prompt has no tokens");
  TRY_OK(check_length(prompt));
  if (submitted_.fetch_add(1) >= static_cast<std::int32_t>(options_.waiting_max) + options_.parallel) {
    submitted_.fetch_sub(1);
    return fail(Code::busy,
                fmt::format("{} requests are waiting already; try again in a moment", options_.waiting_max));
  }
  stream->on_room([this] { wake(); });
  const std::string lark = std::move(request.constraint.lark);  // it may be megabytes
  std::promise<Grammar> grammar;
  Sequence::Start start;
  if (!lark.empty()) start.grammar = grammar.get_future();
  start.request = std::move(request);
  start.stream = stream;
  if (Status queued = enqueue(std::move(start)); !queued) {
    submitted_.fetch_sub(1);
    return queued;
  }
  if (!lark.empty()) {
    // A compilation cannot be interrupted: nobody may want it any more before it begins.
    grammar.set_value(stream->cancelled() ? Grammar(fail(Code::cancelled, "the client left")) : compile(lark));
    wake();
  }
  return {};
}

Grammar Scheduler::compile(const std::string& lark) const {
  TRY(const std::shared_ptr<const constrain::Compiled> compiled, compiler_.compile(lark));
  return compiled->start();
}

Status Scheduler::enqueue(Sequence::Start start) {
  start.submitted_us = clock_.now_us();
  {
    const std::lock_guard lock(inbox_mutex_);
    start.arrival = arrivals_++;
    start.seed = seeds_();
  }
  auto sequence = std::make_unique<Sequence>(std::move(start), engine_.vocab(), context_, draft_max_ > 0);
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
    if (cache_.save_one()) {
      changed_ = true;
      continue;
    }
    const std::int64_t timeout_us = cache_.poll();
    if (timeout_us != 0) wait_for_work(stop, timeout_us);
  }
  {
    const std::lock_guard lock(inbox_mutex_);
    stopped_ = true;
  }
  drain_inbox();
  while (!running_.empty()) end_running(running_.size() - 1, {FinishReason::cancelled, {}, {}, {}});
  for (; !waiting_.empty(); waiting_.pop_front())
    end(std::move(waiting_.front()), {FinishReason::cancelled, {}, {}, {}});
  cache_.flush();
}

// timeout_us: -1 for none.
void Scheduler::wait_for_work(const std::stop_token& stop, std::int64_t timeout_us) {
  std::unique_lock lock(inbox_mutex_);
  const auto awake = [this] { return awake_; };
  if (timeout_us < 0) {
    inbox_changed_.wait(lock, stop, awake);
  } else {
    inbox_changed_.wait_for(lock, stop, std::chrono::microseconds(timeout_us), awake);
  }
  awake_ = false;
}

bool Scheduler::post(std::function<void()> job) {
  {
    const std::lock_guard lock(inbox_mutex_);
    if (stopped_) return false;
    jobs_.push_back(std::move(job));
  }
  wake();
  return true;
}

bool Scheduler::step() {
  drain_inbox();
  cache_.poll();
  drop_ended();
  admit();
  const bool loaded = restore();
  make_plan();
  draft();
  publish_stats();
  changed_ = changed_ || loaded || plan_.tokens > 0;
  tell_change();
  if (plan_.tokens == 0) return loaded;
  if (!secure_cells()) return true;
  cache_.vacate();
  decode();
  save_beside();
  return true;
}

void Scheduler::drain_inbox() {
  std::vector<SequencePtr> arrived;
  std::vector<std::function<void()>> jobs;
  {
    const std::lock_guard lock(inbox_mutex_);
    arrived.swap(inbox_);
    jobs.swap(jobs_);
    awake_ = false;
  }
  for (const auto& job : jobs) job();
  for (SequencePtr& sequence : arrived) {
    changed_ = true;
    sequence->client = &clients_.enter(sequence->request().session, sequence->salt());
    waiting_.push_back(std::move(sequence));
  }
}

// Those whose clients are gone, and those whose grammar turned out to be none.
void Scheduler::drop_ended() {
  const auto ending = [](Sequence& sequence) -> std::optional<Ending> {
    if (sequence.stream().cancelled()) return Ending{FinishReason::cancelled, {}, {}, {}};
    if (Status grammar = sequence.take_grammar(); !grammar)
      return Ending{FinishReason::failed, {}, std::move(grammar).error(), {}};
    return std::nullopt;
  };
  for (std::size_t i = running_.size(); i-- > 0;) {
    if (auto over = ending(*running_[i])) end_running(i, std::move(*over));
  }
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    auto over = ending(**it);
    if (!over) {
      ++it;
      continue;
    }
    SequencePtr gone = std::move(*it);
    it = waiting_.erase(it);
    end(std::move(gone), std::move(*over));
  }
}

// Blocks into cells, oldest request first. True when something moved.
bool Scheduler::restore() {
  const bool beside = std::any_of(running_.begin(), running_.end(),
                                  [](const auto& s) { return s->decoding() && !s->parked() && !s->restoring; });
  const double beside_bytes = kMoveShare * step_us_ * restore_bytes_us_;
  const std::uint64_t bytes_max = beside ? static_cast<std::uint64_t>(beside_bytes) : kRestoreBytes;
  bool moved = false;
  for (std::size_t i = 0; i < running_.size() && !(beside && moved); ++i) {
    Sequence& sequence = *running_[i];
    if (!sequence.restoring) continue;
    const std::int32_t before = cache_.length(*sequence.lease);
    const std::int64_t begin_us = clock_.now_us();
    const auto status = cache_.restore(*sequence.lease, bytes_max, sequence.reused);
    const std::int64_t took_us = clock_.now_us() - begin_us;
    if (status == cache::PrefixCache::Restore::lost) {
      ++sequence.losses;
      sequence.damaged = sequence.damaged || sequence.reused.why == ReuseStop::damaged;
      put_back(i);
      return true;
    }
    const std::int32_t tokens = cache_.length(*sequence.lease) - before;
    if (took_us > 0 && tokens > 0) {
      const double bytes = static_cast<double>(engine_.info().bytes_per_token) * tokens;
      restore_bytes_us_ = bytes / static_cast<double>(took_us);
    }
    if (status == cache::PrefixCache::Restore::done) restored(sequence);
    moved = moved || tokens > 0;
  }
  return moved;
}

void Scheduler::restored(Sequence& sequence) {
  sequence.restoring = false;
  sequence.computed = cache_.length(*sequence.lease);
  const cache::PrefixCache::Reused& reused = sequence.reused;
  if (cache_.needs_boundaries() && reused.branch > sequence.computed) sequence.add_stop(reused.branch);
  if (sequence.started()) return;  // resumed after a preemption: its usage stands
  sequence.prefill_begin_us = clock_.now_us();
  Usage& usage = sequence.usage;
  usage.reused_device_tokens = reused.device_tokens;
  usage.reused_memory_tokens = reused.memory_tokens;
  usage.reused_disk_tokens = reused.disk_tokens;
  usage.pending_tokens = usage.prompt_tokens - sequence.computed;
  usage.why = sequence.damaged ? ReuseStop::damaged : reused.why;
  if (options_.reuse_log)
    usage.why = options_.reuse_log->note(sequence.request().id,
                                         {sequence.tokens(), sequence.segments(), sequence.salt()}, usage);
  tell_progress(sequence);
}

// One place stays free, or the sequence would park: a slow client shall not keep its prompt from being computed.
void Scheduler::tell_progress(Sequence& sequence) const {
  if (!sequence.request().progress || sequence.started() || sequence.stream().room() < 2) return;
  const Usage& usage = sequence.usage;
  const PromptProgress progress{usage.prompt_tokens, usage.reused_tokens(), usage.prompt_tokens - usage.pending_tokens,
                                clock_.now_us() - sequence.prefill_begin_us};
  sequence.stream().offer({.token = -1, .text = {}, .logprobs = std::nullopt, .progress = progress});
}

// One block of what only the device holds goes to RAM, when enough time has passed since the last.
void Scheduler::save_beside() {
  if (save_us_ > 0 && save_credit_us_ < save_us_) return;
  const std::int64_t begin_us = clock_.now_us();
  if (!cache_.save_one()) return;
  const std::int64_t took_us = clock_.now_us() - begin_us;
  save_us_ = blend(save_us_, took_us);
  save_credit_us_ -= static_cast<double>(took_us);
}

void Scheduler::publish_stats() {
  stats_running_.store(static_cast<std::int32_t>(running_.size()), std::memory_order_relaxed);
  stats_waiting_.store(static_cast<std::int32_t>(waiting_.size()), std::memory_order_relaxed);
}

void Scheduler::tell_change() {
  if (std::exchange(changed_, false) && options_.on_change) options_.on_change();
}

SchedulerStats Scheduler::stats() const {
  return {stats_running_.load(std::memory_order_relaxed), stats_waiting_.load(std::memory_order_relaxed)};
}

RequestReport Scheduler::report_of(const Sequence& sequence) const {
  using State = RequestReport::State;
  const Usage& usage = sequence.usage;
  const std::int64_t now_us = clock_.now_us();
  RequestReport report;
  report.id = sequence.request().id;
  report.session = sequence.request().session;
  report.priority = sequence.request().priority;
  report.running = sequence.lease.has_value();
  if (report.running) report.state = sequence.started() ? State::decode : State::prefill;
  if (sequence.prefill_begin_us > 0) report.why = usage.why;
  report.age_us = now_us - sequence.submitted_us();
  report.prompt_tokens = usage.prompt_tokens;
  report.reused_tokens = usage.reused_tokens();
  report.computed_tokens = usage.computed_tokens();
  report.completion_tokens = usage.completion_tokens;
  report.tokens_max = sequence.request().tokens_max;
  // The first token of an answer came with the end of the prompt.
  const std::int64_t begin_us = sequence.started() ? sequence.first_token_us : sequence.prefill_begin_us;
  const std::int32_t tokens = sequence.started() ? usage.completion_tokens - 1 : usage.computed_tokens();
  if (begin_us > 0 && now_us > begin_us) report.tokens_per_s = 1e6 * tokens / static_cast<double>(now_us - begin_us);
  return report;
}

std::vector<RequestReport> Scheduler::requests() const {
  std::vector<RequestReport> reports;
  for (const SequencePtr& sequence : running_) reports.push_back(report_of(*sequence));
  for (const SequencePtr& sequence : waiting_) reports.push_back(report_of(*sequence));
  return reports;
}

}  // namespace kvern::schedule
