// Scheduler: what a step computes, and how long streams wait for it.
#include <algorithm>
#include <limits>

#include "schedule/scheduler.h"

namespace kvern::schedule {
namespace {

// Fewer tokens than these a CPU computes one after the other.
constexpr std::int32_t kTogether = 64;
// Of streams whose steps are long: one that is by so much longer now and then disturbs nobody, and a prompt need not be
// computed token by token. Where others wait for a place what counts is how soon all are done.
constexpr double kPauseSteps = 3;

}  // namespace

void Scheduler::make_plan() {
  items_.clear();
  std::int32_t decoding = 0;
  for (const SequencePtr& sequence : running_) {
    std::int32_t pending = sequence->restoring || sequence->aside ? 0 : sequence->computable();
    if (cache_.needs_boundaries()) pending = std::min(pending, sequence->next_stop() - sequence->computed);
    PlanItem& item = items_.emplace_back();
    item.pending = std::max(pending, 0);
    item.decoding = sequence->decoding();
    item.parked = sequence->parked();
    // Its client's share is counted over all clients: not in every step of a stream.
    if (item.prefills()) item.claim = claim_of(*sequence);
    decoding += item.decodes();
  }
  PlanLimits limits = options_.limits;
  limits.beside_us.reset();
  const auto decode_us = cost_.decode_us(decoding);
  if (decode_us) limits.beside_us = *decode_us * (options_.latency_target - 1);
  if (decoding > 0) size_chunks(limits, kPauseSteps * decode_us.value_or(0));
  schedule::make_plan(items_, limits, plan_);
}

// Of prompts beside streams.
void Scheduler::size_chunks(PlanLimits& limits, double pause_us) {
  std::int32_t prompts = 0;  // tokens
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Sequence& sequence = *running_[i];
    items_[i].chunk = cost_.chunk(sequence.computed, limits.beside_us.value_or(0));
    if (!items_[i].prefills()) continue;
    prompts += items_[i].pending;
    items_[i].at_once = limits.beside_us && goes_at_once(sequence);
    if (items_[i].at_once) items_[i].chunk.least = items_[i].pending;
  }
  if (!limits.beside_us || prompts == 0) return;
  if (waiting_.empty()) {
    save_up(limits, std::min(prompts, kTogether), pause_us);
  } else {
    save_up(limits, std::min(prompts, limits.batch), std::numeric_limits<double>::infinity());
  }
}

// A few tokens a step may take several times the time they take in a batch: then what prompts may take is saved up, and
// they have it in one step of no more than pause_us. Streams are no slower for it on the whole, but not as even. Who
// goes first saves for itself: nobody behind it takes what there is but those that go at once, and these until it is
// due.
void Scheduler::save_up(PlanLimits& limits, std::int32_t wanted, double pause_us) {
  static constexpr double kDear = 1.25;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    PlanItem& item = items_[i];
    if (!item.prefills() || item.at_once) continue;
    const auto batch_us = cost_.prompt_us(wanted, running_[i]->computed);
    if (!batch_us || *batch_us > pause_us || !item.chunk.token_us || *item.chunk.token_us * wanted < kDear * *batch_us)
      continue;
    if (*batch_us <= credit_.left_us() || credit_.is_full()) {
      item.chunk = {.token_us = *batch_us / wanted};
      limits.beside_us = std::max(*limits.beside_us, credit_.left_us());
    } else {
      item.chunk = {.token_us = item.chunk.token_us, .least = 0, .most = 0};
    }
  }
}

// Whether all of a prompt may be computed before streams go on at their pace: it is short, and they have time left, or
// began after it came and few others did the same. Nobody's agent makes a person wait.
bool Scheduler::goes_at_once(const Sequence& prompt) const {
  const auto us = cost_.prompt_us(prompt.pending(), prompt.computed);
  if (!us || *us > credit_.most_us()) return false;
  bool came_first = true;
  for (const SequencePtr& stream : running_) {
    if (!stream->decoding() || stream->parked()) continue;
    if (stream->priority < prompt.priority) return false;
    came_first = came_first && prompt.submitted_us() <= stream->first_token_us;
  }
  return *us <= (came_first ? credit_.left_together_us() : credit_.left_us());
}

}  // namespace kvern::schedule
