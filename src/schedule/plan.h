// Decides what one engine step computes. Pure: the same state gives the same plan. What was measured is
// part of the state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "schedule/priority.h"
#include "schedule/step_cost.h"

namespace kvern::schedule {

// One running sequence as the plan sees it, oldest first.
struct PlanItem {
  std::int32_t pending = 0;  // tokens known but not computed, as far as this step may go
  bool decoding = false;     // its first token is out; pending is its last one and those forced after it
  bool parked = false;       // it must not produce more: its client does not take tokens, say
  Claim claim{};             // while prefilling
  StepCost::Chunk chunk{};   // how much of it to compute beside others that decode; most 0: it saves up
  bool at_once = false;      // all of it may be computed beside them now

  bool decodes() const { return decoding && !parked && pending > 0; }
  bool prefills() const { return !decoding && !parked && pending > 0; }
};

struct PlanLimits {
  std::int32_t batch = 512;  // most tokens of one step
  // How long tokens beyond one a stream may make a step that decodes. Unset: it is not known, and this step
  // is for finding out.
  std::optional<double> beside_us{};
};

struct PlanShare {
  std::size_t item = 0;
  std::int32_t tokens = 0;
  std::int32_t drafted = 0;  // guessed tokens behind them
};

struct Plan {
  std::vector<PlanShare> shares;
  std::int32_t tokens = 0;  // with those drafted; 0: nothing to do

  std::vector<std::size_t> order;  // scratch: prefills, who goes first
};

// Every decoding sequence gets one token, so that nothing stops decoding. Beside them beside_us goes to the
// forced tokens of decoding sequences, which are few, then to prefills, who goes first first; the first to
// get some gets its least chunk. A stream alone with its own forced tokens waits for nobody: it gets them all,
// but one token while a prefill waits for beside_us to be known.
// While nobody decodes prefills fill the batch, but one that does not end in this step does not make it
// longer for one that does.
void make_plan(std::span<const PlanItem> items, const PlanLimits& limits, Plan& plan);

}  // namespace kvern::schedule
