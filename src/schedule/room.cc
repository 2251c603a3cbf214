// Scheduler: cells for what is planned, and who gives way when there are too few.
#include <algorithm>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "schedule/scheduler.h"

namespace kvern::schedule {

// Cells for the planned step: what is short is cut from its end, where the prefills are. Only when
// there is not one cell does somebody have to go; then the next round plans anew.
bool Scheduler::secure_cells() {
  if (cache_.free_cells() < plan_.tokens) drop_drafts();  // a guess takes no cell from anybody
  if (cache_.make_room(plan_.tokens)) return true;
  const std::int32_t room = cache_.free_cells();
  if (room <= 0) {  // less than none: the ledger counts too many cells rather than too few
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

// Somebody goes back to waiting, and nobody is admitted until somebody else has ended, or it would be
// back at once. Alone, it has all the cells there are: its turn ends.
void Scheduler::give_way() {
  if (running_.size() == 1) return end_running(0, {FinishReason::length, {}, {}, {}});
  preempt(victim());
  crowded_ = true;
}

// Of the lowest class the youngest; but who had to go often enough stays while others can.
std::size_t Scheduler::victim() const {
  const auto cost = [](const Sequence& sequence) {
    return std::make_tuple(sequence.preempted < kPassedMax, sequence.priority, sequence.arrival());
  };
  const auto at = std::max_element(running_.begin(), running_.end(),
                                   [&](const auto& a, const auto& b) { return cost(*a) < cost(*b); });
  return static_cast<std::size_t>(at - running_.begin());
}

void Scheduler::preempt(std::size_t index) {
  Sequence& sequence = *running_[index];
  log::info("preempted", {{"id", sequence.request().id}, {"tokens", sequence.size()}});
  ++sequence.preempted;
  cache_.preempt(std::move(*sequence.lease));
  put_back(index);
}

// From running to waiting, without a lease.
void Scheduler::put_back(std::size_t index) {
  SequencePtr sequence = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  sequence->lease.reset();
  sequence->restoring = false;
  sequence->aside = false;
  sequence->computed = 0;
  sequence->passed = 0;
  ++changes_;
  waiting_.push_front(std::move(sequence));
}

}  // namespace kvern::schedule
