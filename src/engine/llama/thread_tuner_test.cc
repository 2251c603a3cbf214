#include "engine/llama/thread_tuner.h"

#include <gtest/gtest.h>

namespace kvern::engine {
namespace {

// A machine of `cores` on which others keep `busy` of them busy.
class Machine {
 public:
  Machine(std::int32_t cores, std::int32_t busy) : cores_(cores), busy_(busy) {}
  void busy(std::int32_t cores) { busy_ = cores; }

  // Threads that all have a core share the work; else everybody waits for whoever has none just now.
  std::int64_t wall_us(std::int32_t threads) const {
    const double work = 16'000.0 / threads;
    return static_cast<std::int64_t>(threads + busy_ <= cores_ ? work : 8 * work);
  }

  double steps(ThreadTuner& tuner, int count, std::size_t tokens = 1) {
    double total_us = 0;
    for (int i = 0; i < count; ++i) {
      const std::int32_t threads = tuner.threads();
      const std::int64_t wall = wall_us(threads);
      const double share = threads + busy_ <= cores_ ? 1.0 : static_cast<double>(cores_) / (threads + busy_);
      tuner.measured(tokens, wall, static_cast<std::int64_t>(static_cast<double>(wall) * threads * share));
      total_us += static_cast<double>(wall);
    }
    return total_us;
  }

 private:
  std::int32_t cores_;
  std::int32_t busy_;
};

TEST(ThreadTuner, OnAnIdleMachineEveryThreadComputesAlways) {
  Machine machine(4, 0);
  ThreadTuner tuner(4);
  EXPECT_EQ(machine.steps(tuner, 5000), 5000.0 * static_cast<double>(machine.wall_us(4)));
  EXPECT_EQ(tuner.threads(), 4);
}

TEST(ThreadTuner, BesideABusyProcessItGivesACoreUpWithinASecond) {
  Machine machine(2, 1);
  ThreadTuner tuner(2);
  machine.steps(tuner, 14);
  EXPECT_EQ(tuner.threads(), 1);
  // Trying two threads again costs little.
  EXPECT_LT(machine.steps(tuner, 5000), 1.05 * 5000 * static_cast<double>(machine.wall_us(1)));
}

TEST(ThreadTuner, OfManyCoresItKeepsThoseNobodyElseUses) {
  Machine machine(8, 3);
  ThreadTuner tuner(8);
  machine.steps(tuner, 200);
  EXPECT_EQ(tuner.threads(), 5);
}

TEST(ThreadTuner, WhenTheMachineIsIdleAgainEveryThreadComesBack) {
  Machine machine(4, 2);
  ThreadTuner tuner(4);
  machine.steps(tuner, 5000);
  EXPECT_LE(tuner.threads(), 2);
  machine.busy(0);
  machine.steps(tuner, 1300);
  EXPECT_EQ(tuner.threads(), 4);
}

TEST(ThreadTuner, WhereFewerThreadsAreNoFasterTheyAreTriedEverMoreSeldom) {
  // A GPU computes: threads wait, and their number changes nothing.
  ThreadTuner tuner(4);
  int tried = 0;
  for (int i = 0; i < 20'000; ++i) {
    tried += tuner.threads() != 4;
    tuner.measured(1, 5000, 500);
  }
  EXPECT_LT(tried, 120);
  EXPECT_EQ(tuner.threads(), 4);
}

TEST(ThreadTuner, StepsOfOtherSizesAreNotComparedWithEachOther) {
  Machine machine(2, 0);
  ThreadTuner tuner(2);
  for (int i = 0; i < 2000; ++i) {
    tuner.measured(1, 8000, 16'000);
    tuner.measured(512, 400'000, 800'000);
  }
  EXPECT_EQ(tuner.threads(), 2);
}

TEST(ThreadTuner, OneThreadStaysOne) {
  ThreadTuner tuner(1);
  for (int i = 0; i < 1000; ++i) tuner.measured(1, 10'000, 100);
  EXPECT_EQ(tuner.threads(), 1);
}

}  // namespace
}  // namespace kvern::engine
