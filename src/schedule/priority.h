// Who goes first: among prompts that wait for a place, and among those that share a step.
//
// Classes come first, then clients that had less, then the prompt with the least left to compute: a short
// one costs a long one little, and the other way round it costs everything. Nobody starves: who was passed
// over kPassedMax times goes before all others, the oldest such first.
//
// Pure; thread: any.
#pragma once

#include <cstdint>

#include "core/generator.h"

namespace kvern::schedule {

// So often may others, younger ones, be taken before somebody: for a place, or for a step.
inline constexpr std::int32_t kPassedMax = 3;

struct Claim {
  Priority priority = Priority::interactive;
  std::int32_t debt = 0;    // how much more its client had than others: see FairShare
  std::int32_t work = 0;    // tokens left to compute
  std::int32_t passed = 0;  // so often in a row it was passed over
  std::uint64_t arrival = 0;
};

// A strict order.
bool goes_before(const Claim& a, const Claim& b);

}  // namespace kvern::schedule
