// Scheduler: what is guessed beside what is sure.
#include <algorithm>

#include "schedule/scheduler.h"

namespace kvern::schedule {

// Drafts go into a step in which every stream has the one token it drew. A prompt's tokens are sure and a guess's are
// not, so beside a prompt nothing is guessed; and others wait for a guess no longer than they would for a prompt.
void Scheduler::draft() {
  for (const SequencePtr& sequence : running_) sequence->cut_draft(0);
  const bool prompts = std::any_of(items_.begin(), items_.end(), [](const PlanItem& item) { return item.prefills(); });
  if (draft_max_ == 0 || prompts || plan_.shares.empty()) return;
  const auto streams = static_cast<std::int32_t>(plan_.shares.size());
  const bool forced = std::any_of(plan_.shares.begin(), plan_.shares.end(),
                                  [this](const PlanShare& share) { return items_[share.item].pending > 1; });
  const auto alone_us = cost_.decode_us(streams);
  if (forced || !alone_us) return;  // the latter: this step is for finding out
  DraftLength::Step step{streams, static_cast<double>(streams), 0};
  if (streams > 1) step.us_max = *alone_us * options_.latency_target;
  for (PlanShare& share : plan_.shares) {
    Sequence& sequence = *running_[share.item];
    const std::int32_t rows = std::min(options_.limits.batch, StepCost::kRowsMax);
    const std::int32_t room = std::clamp(rows - plan_.tokens, 0, draft_max_);
    const Sequence::Guess guess = sequence.guess(room);
    share.drafted = sequence.draft_length.add_to(step, guess.matched, guess.tokens, cost_);
    sequence.cut_draft(share.drafted);
    plan_.tokens += share.drafted;
  }
}

// The step without its guesses.
void Scheduler::drop_drafts() {
  for (PlanShare& share : plan_.shares) {
    if (share.drafted == 0) continue;
    running_[share.item]->cut_draft(0);
    plan_.tokens -= share.drafted;
    share.drafted = 0;
  }
}

// The cells of guesses that were wrong are forgotten.
void Scheduler::settle_draft(Sequence& sequence, std::int32_t drafted) {
  if (drafted == 0) return;
  const std::int32_t accepted = sequence.accepted();
  if (accepted > 0)
    cache_.grew(*sequence.lease, sequence.tokens().subspan(static_cast<std::size_t>(sequence.computed),
                                                           static_cast<std::size_t>(accepted)));
  sequence.computed += accepted;
  if (accepted == drafted) return;
  cache_.cut(*sequence.lease, sequence.computed);
  sequence.computed = cache_.length(*sequence.lease);
}

}  // namespace kvern::schedule
