#include "schedule/simulation/shrink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.h"

namespace kvern::schedule::simulation {
namespace {

using ::testing::HasSubstr;

class Shrink : public ::testing::Test {
 protected:
  Shrink() { log::configure(log::Level::off, log::Format::text); }
  ~Shrink() override { log::configure(log::Level::info, log::Format::text); }
};

bool is_slow(const Arrival& a) { return a.reads_every > 1; }

// A promise nobody made: it breaks as soon as one with a grammar and one that reads slowly are there at once.
std::optional<std::string> never_both(const Running& running) {
  const bool call = std::any_of(running.begin(), running.end(), [](const Arrival* a) { return a->call; });
  const bool slow = std::any_of(running.begin(), running.end(), [](const Arrival* a) { return is_slow(*a); });
  if (call && slow) return "a call and a slow reader at once, of " + std::to_string(running.size());
  return std::nullopt;
}

TEST_F(Shrink, LeavesOnlyWhatABrokenPromiseIsAbout) {
  const Rules rules{.also = never_both};
  const Traffic traffic = draw_traffic(1, 100);
  const Outcome outcome = simulate(traffic, rules);
  ASSERT_TRUE(outcome.failure);
  const Traffic few = shrink(traffic, *outcome.failure, rules);
  const Outcome still = simulate(few, rules);
  ASSERT_TRUE(still.failure) << describe(few);
  EXPECT_THAT(*still.failure, HasSubstr("a call and a slow reader"));
  ASSERT_LE(few.arrivals.size(), 2U) << describe(few);
  EXPECT_TRUE(std::any_of(few.arrivals.begin(), few.arrivals.end(), is_slow)) << describe(few);
  for (const Arrival& a : few.arrivals) {
    EXPECT_TRUE(a.call || is_slow(a)) << describe(few);
    EXPECT_EQ(a.at_us, 0) << describe(few);
    EXPECT_EQ(a.cancel_at_us, -1) << describe(few);
    EXPECT_EQ(a.priority, Priority::interactive) << describe(few);
    EXPECT_EQ(a.session, "") << describe(few);
    EXPECT_EQ(a.padding + a.turns + a.question, 1U) << describe(few);
  }
  EXPECT_EQ(few.parallel, 1) << describe(few);
}

// Who looks for more than is promised finds it: a stream, and a prompt beside it, are enough to show it.
TEST_F(Shrink, KeepsTheTrafficThatMakesAStepTooLong) {
  const Rules rules{.target = 3, .target_watched = 1.5};
  Traffic traffic = draw_traffic(1, 60);
  traffic.parallel = 4;
  const Outcome outcome = simulate(traffic, rules);
  ASSERT_TRUE(outcome.failure);
  const Traffic few = shrink(traffic, *outcome.failure, rules);
  EXPECT_LE(few.arrivals.size(), 4U) << describe(few);
  EXPECT_GE(few.arrivals.size(), 2U) << "a stream, and a prompt beside it";
  EXPECT_THAT(*simulate(few, rules).failure, HasSubstr("tokens beside"));
  EXPECT_LE(simulate(few, rules).steps, outcome.steps);
}

// With less traffic something else may break first; that would be another story.
TEST_F(Shrink, DoesNotTurnOneFailureIntoAnother) {
  const Rules rules{.also = [](const Running& running) -> std::optional<std::string> {
    if (running.size() >= 3) return "three at once";
    if (running.size() == 1) return "one alone";
    return std::nullopt;
  }};
  Traffic traffic = draw_traffic(3, 30);
  for (Arrival& a : traffic.arrivals) a.at_us = 0;
  const Outcome outcome = simulate(traffic, rules);
  ASSERT_TRUE(outcome.failure);
  ASSERT_THAT(*outcome.failure, HasSubstr("three at once"));
  const Traffic few = shrink(traffic, *outcome.failure, rules);
  EXPECT_EQ(few.arrivals.size(), 3U) << describe(few);
  EXPECT_THAT(*simulate(few, rules).failure, HasSubstr("three at once"));
}

TEST_F(Shrink, StopsWhenItsRunsAreUsedUp) {
  const Rules rules{.also = never_both};
  const Traffic traffic = draw_traffic(1, 100);
  const Outcome outcome = simulate(traffic, rules);
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(shrink(traffic, *outcome.failure, rules, 0).arrivals.size(), traffic.arrivals.size());
}

TEST_F(Shrink, AFailuresKindIsItsWords) {
  EXPECT_EQ(kind_of("round 17: 5 ends of 6 requests"), kind_of("round 3: 12 ends of 13 requests"));
  EXPECT_EQ(kind_of("round 1: said 'one', alone 'one two'"), kind_of("round 2: said '', alone 'three'"));
  EXPECT_NE(kind_of("round 1: it does not end"), kind_of("round 1: memory beyond its budget"));
}

}  // namespace
}  // namespace kvern::schedule::simulation
