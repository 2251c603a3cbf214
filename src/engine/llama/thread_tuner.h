// How many threads compute the next step, on a machine that does other things, too.
//
// ggml's threads meet at a barrier after every operation and spin there. When somebody else's process takes the
// core of one of them, all wait until it is back: beside one compiler, a server with a thread for each core can
// become ten times slower, where one thread fewer would hardly be noticed. So when the threads get less
// processor time than the step took, fewer are tried, and kept if that is faster; later more are tried again.
//
// Thread: engine. Pure: it is told what steps took.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kvern::engine {

class ThreadTuner {
 public:
  explicit ThreadTuner(std::int32_t most) : most_(most), threads_(most) {}

  // For the next step, 1 to most.
  std::int32_t threads() const { return trial_ > 0 ? trial_ : threads_; }

  // A step of so many tokens took wall_us with threads(), and cpu_us of processor time over all threads.
  void measured(std::size_t tokens, std::int64_t wall_us, std::int64_t cpu_us);

 private:
  static constexpr std::size_t kSizes = 16;
  static constexpr std::size_t kKept = 5;
  static constexpr std::size_t kTrialSteps = 3;

  // What steps of one size, by doublings, took lately.
  struct Usual {
    std::array<std::int64_t, kKept> us{};
    std::size_t count = 0;
    std::int64_t median() const;
  };

  void watch(std::int64_t wall_us, std::int64_t cpu_us);
  void judge(double ratio);
  void begin_trial(std::int32_t threads);
  void end_trial(bool better);

  const std::int32_t most_;
  std::int32_t threads_;
  std::array<Usual, kSizes> usual_;  // with threads_

  std::int32_t disturbed_ = 0;  // of the last steps, about
  double cores_ = 0;            // the threads had, in the last disturbed step

  std::int32_t trial_ = 0;  // so many are tried; 0: none are
  std::size_t trial_steps_ = 0;
  double trial_worst_ = 0;  // of those steps' times, in usual ones
  // Steps until fewer, or more, may be tried; what failed is tried less and less often.
  std::int32_t fewer_in_ = 0;
  std::int32_t more_in_ = 0;
  std::int32_t fewer_wait_ = kWaitMin;
  std::int32_t more_wait_ = kWaitMin;
  static constexpr std::int32_t kWaitMin = 64;
  static constexpr std::int32_t kWaitMax = 1024;
};

}  // namespace kvern::engine
