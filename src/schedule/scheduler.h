// Runs requests on an engine: admits, plans, decodes, samples, hands text out.
//
// Continuous batching: every step decodes all running sequences and adds prompt chunks, beside streams as
// many tokens as their measured time allows, so that a long prompt does not stretch the gap between two
// tokens of somebody else; a short one may, once, out of what was not taken before (latency_credit.h). Who is
// admitted, and whose chunk is next, goes by priority.h.
//
// A request whose prompt another one is just computing waits for it and forks. Nobody is admitted before
// there are cells for its prompt beside the prompts of all who run. When cells run out idle sequences go to
// RAM, then a running one is preempted and resumes later: an overfull pool delays, it does not fail. Blocks
// are loaded and saved between steps, for a part of a step's time while others decode.
//
// A grammar is compiled beside the prefill, on the submitting thread; only the first draw waits for it.
//
// Thread: submit() any; step() and run() the engine thread, which owns everything else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "cache/prefix_cache.h"
#include "constrain/constraint.h"
#include "core/generator.h"
#include "engine/engine.h"
#include "schedule/draft_model.h"
#include "schedule/fair_share.h"
#include "schedule/latency_credit.h"
#include "schedule/plan.h"
#include "schedule/priority.h"
#include "schedule/reuse_log.h"
#include "schedule/sequence.h"
#include "schedule/step_cost.h"

namespace kvern::schedule {

struct RequestReport;

struct SchedulerOptions {
  std::int32_t parallel = 4;    // sequences running at once
  PlanLimits limits;            // beside_us follows from what is measured
  double latency_target = 1.5;  // steps with prefill beside streams, in steps without, on the whole
  // Tokens guessed ahead of a stream in one step; 0: none. Unset: limits::kDraftTokens where rows cost little or there
  // is a draft model.
  std::optional<std::int32_t> draft_max{};
  DraftModel* draft_model = nullptr;  // guesses, too, where it is given; must outlive the scheduler
  std::size_t waiting_max = limits::kWaitingRequests;
  std::uint64_t seed = std::random_device{}();
  ReuseLog* reuse_log = nullptr;  // may be null
  // On the engine thread: every request's end; and that requests() would tell something else than before.
  std::function<void(const RequestReport&, const Usage&, FinishReason)> on_end;
  std::function<void()> on_change;
};

// While somebody decodes, loading and saving blocks may each take this part of the time.
inline constexpr double kMoveShare = 0.25;

inline double blend(double old, std::int64_t now) {
  return old == 0 ? static_cast<double>(now) : old + 0.1 * (static_cast<double>(now) - old);
}

struct SchedulerStats {
  std::int32_t running = 0;
  std::int32_t waiting = 0;
};

// A request that has not ended, in numbers.
struct RequestReport {
  enum class State { queued, prefill, decode };

  std::string id;
  std::string session;  // "SESSION/AGENT" as the client named it; empty: not known
  Priority priority = Priority::interactive;
  State state = State::queued;
  std::optional<ReuseStop> why;  // once it is known
  std::int64_t age_us = 0;       // since it came
  double tokens_per_s = 0;       // of its prompt, then of its answer, on the whole; 0: none yet
  std::int32_t prompt_tokens = 0;
  std::int32_t reused_tokens = 0;
  std::int32_t computed_tokens = 0;  // of the prompt
  std::int32_t completion_tokens = 0;
  std::optional<std::int32_t> tokens_max;
  bool running = false;  // else it waits
};

class Scheduler final : public Generator {
 public:
  // All must outlive the scheduler.
  Scheduler(engine::Engine& engine, cache::PrefixCache& cache, constrain::Compiler& compiler, const Clock& clock,
            SchedulerOptions options);
  ~Scheduler() override;

  // Queues the request, then compiles its grammar.
  Status submit(GenerateRequest request, std::shared_ptr<Stream> stream) override;
  Status check_length(std::size_t prompt_tokens) const override;

  // Steps until stop is requested, sleeping when there is nothing to do; then ends what still runs
  // as cancelled.
  void run(const std::stop_token& stop);

  // One round: inbox, cancels, admission, at most one decode. False when there was nothing to do.
  bool step();

  // Runs the job between two steps, soon. False once run() has ended: it is not run. Thread: any.
  bool post(std::function<void()> job);

  // There may be something to do: the cache's store has news. Thread: any.
  void wake();

  // Requests that have not ended. Thread: any.
  SchedulerStats stats() const;
  // The same one by one, those that run first. Thread: engine; see post().
  std::vector<RequestReport> requests() const;

 private:
  using SequencePtr = std::unique_ptr<Sequence>;
  // For one that waits: free, or another's.
  struct Place {
    bool is_there = false;
    Sequence* of = nullptr;
  };
  struct DraftRoom {
    std::int32_t tokens = 0;    // that the step may still have
    std::int32_t catch_up = 0;  // that the draft model may compute of what a stream has
  };
  // A stream the draft model guesses for in this step.
  struct Asked {
    std::size_t share = 0;
    DraftModel::Wanted wanted{};
  };
  struct DraftRound {
    std::vector<Asked> asked{};  // of which the first `count` are this step's
    std::size_t count = 0;
    std::vector<DraftModel::Wanted*> requests{};
  };

  Status enqueue(Sequence::Start start);
  Grammar compile(const std::string& lark) const;
  void wait_for_work(const std::stop_token& stop, std::int64_t timeout_us);
  void drain_inbox();
  void drop_ended();
  Claim claim_of(const Sequence& sequence) const;
  void refresh_work();
  void order_waiting();
  void sort_from(std::size_t begin);
  void admit();
  std::int32_t active() const;
  Place place_for(const Sequence& wanted) const;
  static bool may_lose_place(const Sequence& running);
  bool lends_place() const;
  Sequence* first_aside() const;
  bool is_awaited(const Sequence& running) const;
  bool still_crowded() const;
  void place(Sequence& sequence, const Status& started);
  bool must_wait_for_prefix(Sequence& waiting);
  Status start(Sequence& sequence);
  bool restore();
  void restored(Sequence& sequence);
  void put_back(std::size_t index);
  void save_beside();
  void make_plan();
  void size_chunks(PlanLimits& limits, double pause_us);
  void save_up(PlanLimits& limits, std::int32_t wanted, double pause_us);
  bool goes_at_once(const Sequence& prompt) const;
  void draft();
  std::int32_t catch_up_tokens(double us) const;
  std::int32_t ask_draft_model(std::size_t share, const Sequence::Guess& guess, DraftLength::Step& step,
                               const DraftRoom& room);
  void take_guesses(DraftLength::Step& step, std::int32_t catch_up_max);
  void drop_drafts();
  bool secure_cells();
  void give_way();
  std::size_t victim() const;
  void preempt(std::size_t index);
  void decode();
  void measure(std::int64_t took_us);
  void count_credit(const StepShape& shape, std::int64_t took_us);
  void count_passed();
  void settle(std::int64_t took_us);
  void settle_draft(Sequence& sequence, std::int32_t drafted);
  void tell_progress(Sequence& sequence) const;
  void end(SequencePtr sequence, Ending ending);
  void end_running(std::size_t index, Ending ending);
  void publish_stats();
  void tell_change();
  RequestReport report_of(const Sequence& sequence) const;

  engine::Engine& engine_;
  cache::PrefixCache& cache_;
  constrain::Compiler& compiler_;
  const Clock& clock_;
  SchedulerOptions options_;
  const std::int32_t draft_max_;  // 0 where wrong guesses cannot be forgotten, too
  const std::int32_t context_;    // tokens one sequence may have: the context's, or all cells when fewer

  std::mutex inbox_mutex_;
  std::condition_variable_any inbox_changed_;
  std::vector<SequencePtr> inbox_;
  std::vector<std::function<void()>> jobs_;
  bool awake_ = false;
  bool stopped_ = false;
  std::uint64_t arrivals_ = 0;
  std::mt19937_64 seeds_;
  std::atomic<std::int32_t> submitted_{0};  // requests that have not ended

  std::deque<SequencePtr> waiting_;
  std::vector<Sequence*> order_;  // scratch: those waiting, who goes first first
  std::uint64_t changes_ = 0;     // of what runs: then those waiting may have less to compute
  FairShare clients_;
  std::vector<SequencePtr> running_;  // oldest first
  bool crowded_ = false;              // somebody was preempted and nobody has ended since
  std::vector<PlanItem> items_;
  Plan plan_;
  std::vector<engine::BatchToken> batch_;
  std::vector<std::span<const float>> rows_;  // scratch: logits of one sequence
  DraftRound draft_round_;                    // scratch

  StepCost cost_;
  LatencyCredit credit_;
  // Measured, us; for sharing a step's time between decoding and moving blocks.
  double step_us_ = 0;           // a step that decodes
  double save_us_ = 0;           // one block to RAM
  double save_credit_us_ = 0;    // time that saving may take
  double restore_bytes_us_ = 0;  // bytes per us

  bool changed_ = false;  // something since on_change was called
  std::atomic<std::int32_t> stats_running_{0};
  std::atomic<std::int32_t> stats_waiting_{0};
};

}  // namespace kvern::schedule
