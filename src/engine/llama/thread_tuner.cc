#include "engine/llama/thread_tuner.h"

#include <algorithm>
#include <bit>

namespace kvern::engine {
namespace {

// Shorter steps say little: the clocks' own grain is in them.
constexpr std::int64_t kStepMin_us = 300;
// Threads that have their cores use all of the time, spinning included.
constexpr double kUndisturbed = 0.85;
constexpr std::int32_t kDisturbedSteps = 6;
// Other counts must be faster by more than steps differ anyway.
constexpr double kFaster = 0.9;
constexpr double kHopeless = 1.5;

}  // namespace

std::int64_t ThreadTuner::Usual::median() const {
  auto sorted = us;
  const std::size_t n = std::min(count, kKept);
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(n));
  return sorted[n / 2];
}

void ThreadTuner::measured(std::size_t tokens, std::int64_t wall_us, std::int64_t cpu_us) {
  if (most_ < 2 || wall_us < kStepMin_us || tokens == 0) return;
  Usual& usual = usual_[std::min<std::size_t>(std::bit_width(tokens), kSizes - 1)];
  if (trial_ > 0) {
    // A size that was not seen with the other count can be compared with nothing.
    if (usual.count >= kKept) judge(static_cast<double>(wall_us) / static_cast<double>(usual.median()));
    return;
  }
  usual.us[usual.count++ % kKept] = wall_us;
  watch(wall_us, cpu_us);
}

void ThreadTuner::watch(std::int64_t wall_us, std::int64_t cpu_us) {
  fewer_in_ = std::max(0, fewer_in_ - 1);
  more_in_ = std::max(0, more_in_ - 1);
  const double cores = static_cast<double>(cpu_us) / static_cast<double>(wall_us);
  const bool disturbed = cores < kUndisturbed * threads_;
  disturbed_ = std::clamp(disturbed_ + (disturbed ? 1 : -1), 0, kDisturbedSteps);
  if (disturbed) cores_ = cores;
  if (disturbed_ == kDisturbedSteps && threads_ > 1 && fewer_in_ == 0) {
    begin_trial(std::clamp(static_cast<std::int32_t>(cores_), 1, threads_ - 1));
  } else if (threads_ < most_ && more_in_ == 0) {
    begin_trial(threads_ + 1);
  }
}

void ThreadTuner::begin_trial(std::int32_t threads) {
  trial_ = threads;
  trial_steps_ = 0;
  trial_worst_ = 0;
}

void ThreadTuner::judge(double ratio) {
  // The first step starts and ends threads.
  if (++trial_steps_ == 1) {
    if (ratio > kHopeless) end_trial(false);
    return;
  }
  trial_worst_ = std::max(trial_worst_, ratio);
  if (ratio > kHopeless || trial_steps_ > kTrialSteps) end_trial(trial_worst_ < kFaster);
}

void ThreadTuner::end_trial(bool better) {
  const bool fewer = trial_ < threads_;
  std::int32_t& wait = fewer ? fewer_wait_ : more_wait_;
  wait = better ? kWaitMin : std::min(2 * wait, kWaitMax);
  if (better) {
    threads_ = trial_;
    usual_ = {};
    (fewer ? more_wait_ : fewer_wait_) = kWaitMin;
  }
  fewer_in_ = better ? 0 : fewer_wait_;
  more_in_ = better && !fewer ? 0 : more_wait_;
  disturbed_ = 0;
  trial_ = 0;
}

}  // namespace kvern::engine
