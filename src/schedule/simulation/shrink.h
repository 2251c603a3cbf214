// Makes failing traffic small enough to be read: what fails with fewer, plainer and shorter requests is shown with
// those.
#pragma once

#include <string>

#include "schedule/simulation/simulation.h"

namespace kvern::schedule::simulation {

// What a failure is about: its words, without the numbers, which differ from run to run.
std::string kind_of(const std::string& failure);

// Traffic of which nothing more was found that could go: every single step of what shrinking tries, done to it, makes
// it fail otherwise or not at all. It fails as `failure` does, and with these rules. Greedy: not the smallest there is.
// It stops after runs_max simulations with what it has.
Traffic shrink(Traffic failing, const std::string& failure, const Rules& rules = {}, int runs_max = 2'000);

}  // namespace kvern::schedule::simulation
