// Scheduler: who may start, and what with.
#include <algorithm>
#include <utility>

#include "schedule/scheduler.h"

namespace kvern::schedule {
namespace {

// A shared prefix shorter than this is computed again rather than waited for.
constexpr std::int32_t kWorthWaitingTokens = 16;
// Cells a sequence should find free beyond its prompt when it starts, so that it does not get
// preempted at once.
constexpr std::int32_t kHeadroomTokens = 64;
// After so many loads that came to nothing a prompt is computed.
constexpr std::int32_t kLossesMax = 3;
// A prompt takes the place of one that has at least so many times as much left, and so many may have lost theirs at
// once.
constexpr std::int32_t kFarLess = 4;
constexpr std::int32_t kAsideMax = 4;
// Waiting prompts a round looks up in the cache again; each costs some microseconds.
constexpr std::size_t kLookUps = 16;

}  // namespace

Claim Scheduler::claim_of(const Sequence& sequence) const {
  const std::int32_t work = sequence.lease ? sequence.pending() : sequence.work;
  return {sequence.priority, clients_.debt(*sequence.client), work, sequence.passed, sequence.arrival()};
}

// What a prompt costs may have become less since it came: others computed a part of it.
void Scheduler::refresh_work() {
  std::size_t looked_up = 0;
  for (const SequencePtr& sequence : waiting_) {
    if (sequence->work_from == changes_ + 1) continue;
    if (sequence->work_from > 0 && ++looked_up > kLookUps) continue;
    sequence->work = sequence->size() - cache_.reusable(sequence->tokens(), sequence->salt());
    sequence->work_from = changes_ + 1;
  }
}

void Scheduler::order_waiting() {
  refresh_work();
  order_.clear();
  for (const SequencePtr& sequence : waiting_) order_.push_back(sequence.get());
  sort_from(0);
}

void Scheduler::sort_from(std::size_t begin) {
  std::sort(order_.begin() + static_cast<std::ptrdiff_t>(begin), order_.end(),
            [this](const Sequence* a, const Sequence* b) { return goes_before(claim_of(*a), claim_of(*b)); });
}

// Until somebody ends, whoever had to give way would only be back at once. But it may be gone by now, and
// those that stayed may not be moving.
bool Scheduler::still_crowded() const {
  const auto gave_way = [](const auto& sequence) { return sequence->preempted > 0; };
  const auto moves = [](const auto& sequence) { return !sequence->parked(); };
  return crowded_ && std::any_of(waiting_.begin(), waiting_.end(), gave_way) &&
         std::any_of(running_.begin(), running_.end(), moves);
}

std::int32_t Scheduler::active() const {
  return static_cast<std::int32_t>(std::count_if(
      running_.begin(), running_.end(), [](const auto& sequence) { return !sequence->parked() && !sequence->aside; }));
}

// By claim. Who waits for a shared prefix lets others pass; who waits for cells does not, or a long prompt
// would starve. Parked sequences do not count: a slow reader, or who waits for a grammar, holds cells, not a
// place.
void Scheduler::admit() {
  // Ordering those who wait is not for every step of a stream.
  const bool closed = waiting_.empty() || still_crowded() || (active() >= options_.parallel && !lends_place());
  if (!closed) order_waiting();
  for (std::size_t i = 0; !closed && i < order_.size();) {
    if (must_wait_for_prefix(*order_[i])) {
      ++i;
      continue;
    }
    Sequence& sequence = *order_[i];
    const Place found = place_for(sequence);
    if (!found.is_there) break;
    const Status started = start(sequence);
    if (!started && started.error().code == Code::busy && !running_.empty()) break;
    if (started && found.of != nullptr) {
      found.of->aside = true;
      ++found.of->displaced;
    }
    order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(i));
    place(sequence, started);
    sort_from(i);  // somebody may have been passed over often enough now
  }
  if (!still_crowded()) crowded_ = false;
  while (active() < options_.parallel) {
    Sequence* next = first_aside();
    if (next == nullptr) break;
    next->aside = false;
  }
  std::sort(running_.begin(), running_.end(), [](const auto& a, const auto& b) { return a->arrival() < b->arrival(); });
}

// Whether there is a place for who goes first of those waiting. One that has far less to compute takes that of a prompt
// which is being computed; that one keeps its cells, and has the next place that is free.
Scheduler::Place Scheduler::place_for(const Sequence& wanted) const {
  if (active() < options_.parallel) return {first_aside() == nullptr, nullptr};
  if (!lends_place()) return {};
  Sequence* longest = nullptr;
  for (const SequencePtr& running : running_) {
    if (!may_lose_place(*running) || wanted.work > running->pending() / kFarLess) continue;
    if (!goes_before(claim_of(wanted), claim_of(*running)) || is_awaited(*running)) continue;
    if (longest == nullptr || goes_before(claim_of(*longest), claim_of(*running))) longest = running.get();
  }
  return {longest != nullptr, longest};
}

// The other would have all of its answer first: so not often.
bool Scheduler::may_lose_place(const Sequence& running) {
  return running.prefilling() && !running.started() && !running.restoring && !running.aside && !running.parked() &&
         running.displaced < kPassedMax;
}

// Whether a prompt that is being computed may lose its place to one of a token or more.
bool Scheduler::lends_place() const {
  const auto aside = std::count_if(running_.begin(), running_.end(), [](const auto& one) { return one->aside; });
  return aside < kAsideMax && std::any_of(running_.begin(), running_.end(), [](const auto& one) {
           return may_lose_place(*one) && one->pending() >= kFarLess;
         });
}

Sequence* Scheduler::first_aside() const {
  Sequence* first = nullptr;
  for (const SequencePtr& running : running_) {
    if (running->aside && (first == nullptr || goes_before(claim_of(*running), claim_of(*first))))
      first = running.get();
  }
  return first;
}

// Others wait for what it computes.
bool Scheduler::is_awaited(const Sequence& running) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const auto& waiting) {
    return waiting->awaits_tokens > running.computed && waiting->awaits_arrival == running.arrival();
  });
}

// From waiting to running, or to its end when it cannot start.
void Scheduler::place(Sequence& sequence, const Status& started) {
  const auto at =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& one) { return one.get() == &sequence; });
  SequencePtr owned = std::move(*at);
  waiting_.erase(at);
  if (!started) return end(std::move(owned), {FinishReason::failed, {}, started.error(), {}});
  for (const SequencePtr& other : waiting_) other->passed += other->arrival() < owned->arrival();
  owned->passed = 0;
  running_.push_back(std::move(owned));
  ++changes_;
}

// True while a running prefill is about to compute or load tokens this prompt begins with. Where the
// state cannot be cut, the running one stops where the two part, so that this one can go on there.
bool Scheduler::must_wait_for_prefix(Sequence& waiting) {
  if (!cache_.can_share()) return false;
  // As long as nothing changed for it, a crowd of siblings is not compared at every step.
  for (const SequencePtr& running : running_) {
    const bool the_one = waiting.awaits_tokens > 0 && running->arrival() == waiting.awaits_arrival;
    if (the_one && running->computed < waiting.awaits_tokens && running->prefilling() && !running->parked())
      return true;
  }
  std::int32_t held = -1;
  for (const SequencePtr& running : running_) {
    if (!running->prefilling() || running->parked() || running->salt() != waiting.salt()) continue;
    const std::int32_t shared = std::min(cache::common_prefix(waiting.tokens(), running->tokens()), waiting.size() - 1);
    if (shared <= running->computed) continue;
    if (held < 0) held = cache_.reusable(waiting.tokens(), waiting.salt());
    if (shared - held < kWorthWaitingTokens) continue;
    running->add_stop(shared);
    running->priority = std::min(running->priority, waiting.priority);
    waiting.awaits_arrival = running->arrival();
    waiting.awaits_tokens = shared;
    return true;
  }
  return false;
}

Status Scheduler::start(Sequence& sequence) {
  std::int32_t headroom = std::clamp(context_ - sequence.size(), 0, kHeadroomTokens);
  // Cells that those who run do not have yet and will take for their prompts.
  for (const SequencePtr& running : running_) headroom += running->size() - cache_.length(*running->lease);
  const bool loading = sequence.losses < kLossesMax;
  auto acquired = cache_.acquire(sequence.tokens(), headroom, sequence.salt(), loading);
  if (!acquired && acquired.error().code == Code::busy && running_.empty()) {
    acquired = cache_.acquire(sequence.tokens(), 0, sequence.salt(), loading);  // alone: whatever room there is
  }
  if (!acquired) return tl::unexpected(std::move(acquired).error());
  sequence.reused = std::move(acquired->reused);
  sequence.lease.emplace(std::move(acquired->lease));
  sequence.restoring = true;
  // Once: what comes after a preemption or a lost load is no queueing.
  if (sequence.preempted + sequence.losses == 0) sequence.usage.queue_us = clock_.now_us() - sequence.submitted_us();
  return {};
}

}  // namespace kvern::schedule
