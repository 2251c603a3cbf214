// Scheduler: what is guessed beside what is sure.
#include <algorithm>

#include "schedule/scheduler.h"

namespace kvern::schedule {
namespace {

// Of a draft model whose guesses take nobody knows how long.
constexpr std::int32_t kUnmeasured = 2;

}  // namespace

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
  DraftLength::Step step{.rows = streams, .tokens = static_cast<double>(streams)};
  // What others may be made to wait for is half for guesses and half for a draft model that has to catch up.
  const double waits_us = *alone_us * (options_.latency_target - 1) / (options_.draft_model == nullptr ? 1 : 2);
  if (streams > 1) step.us_max = *alone_us + waits_us;
  const std::int32_t catch_up_max = catch_up_tokens(waits_us);
  draft_round_.count = 0;
  for (std::size_t i = 0; i < plan_.shares.size(); ++i) {
    PlanShare& share = plan_.shares[i];
    Sequence& sequence = *running_[share.item];
    const std::int32_t rows = std::min(options_.limits.batch, StepCost::kRowsMax);
    const std::int32_t room = std::clamp(rows - plan_.tokens, 0, draft_max_);
    const Sequence::Guess guess = sequence.guess(room);
    share.drafted = ask_draft_model(i, guess, step, {room, catch_up_max});
    if (share.drafted == 0) share.drafted = sequence.draft_length.add_to(step, guess.matched, guess.tokens, cost_);
    sequence.cut_draft(std::min(share.drafted, guess.tokens));
    plan_.tokens += share.drafted;
  }
  if (draft_round_.count > 0) take_guesses(step, catch_up_max);
}

// So many tokens the draft model may compute of what streams have.
std::int32_t Scheduler::catch_up_tokens(double us) const {
  static constexpr double kLeast = 32;
  if (options_.draft_model == nullptr || options_.draft_model->catch_up_us() <= 0) return kLeast;
  return static_cast<std::int32_t>(std::clamp(us / options_.draft_model->catch_up_us(), kLeast, 65536.0));
}

// Puts the stream on the list of those the draft model guesses for, where that is more often right than the
// conversation's own guess. How many tokens are worth it; 0: none, or it has to catch up first.
std::int32_t Scheduler::ask_draft_model(std::size_t share, const Sequence::Guess& guess, DraftLength::Step& step,
                                        const DraftRoom& room) {
  DraftModel* model = options_.draft_model;
  Sequence& sequence = *running_[plan_.shares[share].item];
  if (model == nullptr || !model->can_guess(sequence.tokens().size())) return 0;
  DraftLength& length = sequence.draft_length;
  if (guess.tokens > 0 && length.chance(guess.matched) >= length.chance(DraftLength::kByModel)) return 0;
  if (draft_round_.count == draft_round_.asked.size()) draft_round_.asked.emplace_back();
  Asked& asked = draft_round_.asked[draft_round_.count];
  asked.share = share;
  asked.wanted.stream = sequence.arrival();
  asked.wanted.tokens = sequence.tokens();
  asked.wanted.tokens_max = 0;
  if (model->behind(sequence.arrival(), sequence.tokens()) < room.catch_up) {
    const std::size_t streams = plan_.shares.size();
    const double guess_us = model->guess_us(streams) / static_cast<double>(streams);
    const std::int32_t tokens = sequence.draft_room(guess_us > 0 ? room.tokens : std::min(room.tokens, kUnmeasured));
    asked.wanted.tokens_max = length.add_to(step, DraftLength::kByModel, tokens, cost_, guess_us);
    if (asked.wanted.tokens_max == 0) return 0;
  }
  ++draft_round_.count;
  return asked.wanted.tokens_max;
}

// A guess may be shorter than what was planned for it; where there is none, the conversation's own counts.
void Scheduler::take_guesses(DraftLength::Step& step, std::int32_t catch_up_max) {
  const std::span<Asked> asked(draft_round_.asked.data(), draft_round_.count);
  draft_round_.requests.clear();
  for (Asked& each : asked) draft_round_.requests.push_back(&each.wanted);
  options_.draft_model->guess(draft_round_.requests, catch_up_max);
  for (const Asked& each : asked) {
    const std::int32_t planned = each.wanted.tokens_max;
    if (planned == 0) continue;
    PlanShare& share = plan_.shares[each.share];
    Sequence& sequence = *running_[share.item];
    plan_.tokens -= planned;
    share.drafted = sequence.take_guess(each.wanted.guessed, planned).tokens;
    if (share.drafted == 0) {
      step.rows -= planned;
      const Sequence::Guess guess = sequence.guess(planned);
      share.drafted = sequence.draft_length.add_to(step, guess.matched, guess.tokens, cost_);
      sequence.cut_draft(share.drafted);
    }
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
