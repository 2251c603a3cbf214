// What --latency-target allows prompts and they have not taken: a stream that ran undisturbed for a while is not slower
// on the whole when a short prompt is then computed at once. As much again is there for prompts that came before the
// streams they disturb began, so that of several that come together none waits for all of another's answer.
//
// Thread: engine. Pure but for what it counts.
#pragma once

#include <algorithm>

namespace kvern::schedule {

class LatencyCredit {
 public:
  // latency_target: as long as a step beside prompts may take, in steps without.
  explicit LatencyCredit(double latency_target) : allowed_(latency_target - 1) {}

  // undisturbed_us: what the step would have taken without a prompt's tokens.
  void decoded(double undisturbed_us, double took_us) {
    const double gained_us = allowed_ * undisturbed_us;
    most_us_ = kSteps * gained_us;
    const double balance_us = left_us_ + gained_us - std::max(0.0, took_us - undisturbed_us);
    left_us_ = std::clamp(balance_us, 0.0, most_us_);
    together_us_ = std::clamp(together_us_ + gained_us + std::min(0.0, balance_us), 0.0, kTogether * most_us_);
  }
  // Nobody waited for that step.
  void undisturbed() {
    left_us_ = most_us_;
    together_us_ = kTogether * most_us_;
  }

  // Never more is given at once: a prompt that takes longer is no short one.
  double most_us() const { return most_us_; }
  double left_us() const { return left_us_; }
  bool is_full() const { return left_us_ >= most_us_; }
  // For prompts that came first.
  double left_together_us() const { return left_us_ + together_us_; }

 private:
  // Of so many undisturbed steps the credit is kept: at the default target a gap may be as long as half of them.
  static constexpr double kSteps = 64;
  // So many short prompts may come together.
  static constexpr double kTogether = 8;

  double allowed_;
  double most_us_ = 0;
  double left_us_ = 0;
  double together_us_ = 0;
};

}  // namespace kvern::schedule
