// Scheduler, cache, fake engine and fake clock under synthetic traffic, looked at after every step.
//
// What must hold: cells and memory stay within their budgets, no cell belongs to another prompt, no stream
// waits longer for others' tokens than the target says, everybody ends exactly once and with the text it has
// alone, nobody is passed over more often than allowed, and at the end nothing is held by anybody.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "schedule/simulation/traffic.h"

namespace kvern::schedule::simulation {

// The requests that were sent and have not ended, after a step.
using Running = std::vector<const Arrival*>;

struct Rules {
  double target = 1.5;          // the scheduler's
  double target_watched = 1.5;  // what is checked; less than the scheduler's makes a failure
  // One more promise, looked at after every step: says what is wrong.
  std::function<std::optional<std::string>(const Running&)> also = nullptr;
};

struct Outcome {
  std::int64_t steps = 0;
  std::int64_t beside_steps = 0;  // in which a stream and a prompt met
  std::size_t ended = 0;
  std::optional<std::string> failure;  // the first
};

Outcome simulate(const Traffic& traffic, const Rules& rules = {});

}  // namespace kvern::schedule::simulation
