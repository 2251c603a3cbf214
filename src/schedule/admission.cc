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

}  // namespace

// Oldest first. Who waits for a shared prefix lets others pass; who waits for cells does not, or a
// long prompt would starve. Parked sequences do not count: a slow reader, or who waits for a grammar,
// holds cells, not a place.
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
    waiting.awaits_arrival = running->arrival();
    waiting.awaits_tokens = shared;
    return true;
  }
  return false;
}

Status Scheduler::start(Sequence& sequence) {
  const std::int32_t headroom = std::clamp(context_ - sequence.size(), 0, kHeadroomTokens);
  const bool loading = sequence.losses < kLossesMax;
  auto acquired = cache_.acquire(sequence.tokens(), headroom, sequence.salt(), loading);
  if (!acquired && acquired.error().code == Code::busy && running_.empty()) {
    acquired = cache_.acquire(sequence.tokens(), 0, sequence.salt(), loading);  // alone: whatever room there is
  }
  if (!acquired) return tl::unexpected(std::move(acquired).error());
  sequence.reused = std::move(acquired->reused);
  sequence.lease.emplace(std::move(acquired->lease));
  sequence.restoring = true;
  if (!sequence.started()) sequence.usage.queue_us = clock_.now_us() - sequence.submitted_us();
  return {};
}

}  // namespace kvern::schedule
