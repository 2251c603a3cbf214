// Decides what one engine step computes. Pure: the same state gives the same plan.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvern::schedule {

// One running sequence as the plan sees it, oldest first.
struct PlanItem {
  std::int32_t pending = 0;  // tokens known but not computed
  bool decoding = false;     // its first token is out; pending is its last one and those forced after it
  bool parked = false;       // it must not produce more: its client does not take tokens, say
};

struct PlanLimits {
  std::int32_t batch = 512;           // most tokens of one step
  std::int32_t prefill_beside = 128;  // tokens beyond one a sequence while some decode: bounds their gap
};

struct PlanShare {
  std::size_t item = 0;
  std::int32_t tokens = 0;
};

struct Plan {
  std::vector<PlanShare> shares;
  std::int32_t tokens = 0;  // 0: nothing to do
};

// Every decoding sequence gets one token, so that nothing stops decoding. What room is left goes to the
// forced tokens of decoding sequences, which are few, then to prefills in order of arrival.
void make_plan(std::span<const PlanItem> items, const PlanLimits& limits, Plan& plan);

}  // namespace kvern::schedule
