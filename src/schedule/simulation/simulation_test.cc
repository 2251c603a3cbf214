#include "schedule/simulation/simulation.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "schedule/simulation/shrink.h"

namespace kvern::schedule::simulation {
namespace {

class Quiet {
 public:
  Quiet() { log::configure(log::Level::off, log::Format::text); }
  ~Quiet() { log::configure(log::Level::info, log::Format::text); }
};

bool full() {
  const char* set = std::getenv("KVERN_FULL");
  return set && std::string(set) == "1";
}

// A failing seed is printed with as little traffic as fails still.
TEST(Simulation, AgentTrafficOnFewCellsKeepsEveryPromise) {
  const Quiet quiet;
  const std::uint64_t seeds = full() ? 600 : 20;
  std::int64_t steps = 0;
  std::int64_t beside = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Traffic traffic = draw_traffic(seed, 100);
    const Outcome outcome = simulate(traffic);
    steps += outcome.steps;
    beside += outcome.beside_steps;
    ASSERT_FALSE(outcome.failure) << *outcome.failure << "\n" << describe(shrink(traffic, *outcome.failure));
    EXPECT_EQ(outcome.ended, traffic.arrivals.size());
  }
  std::cout << seeds << " seeds, " << steps << " steps, " << beside << " with prompts beside streams\n";
  EXPECT_GT(steps, 1000 * static_cast<std::int64_t>(seeds));
  EXPECT_GT(beside, 100 * static_cast<std::int64_t>(seeds));
}

TEST(Simulation, ASeedIsOneTraffic) {
  const Quiet quiet;
  EXPECT_EQ(describe(draw_traffic(7, 30)), describe(draw_traffic(7, 30)));
  const Traffic traffic = draw_traffic(7, 30);
  EXPECT_EQ(simulate(traffic).steps, simulate(traffic).steps);
}

}  // namespace
}  // namespace kvern::schedule::simulation
