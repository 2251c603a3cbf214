// What --latency-target allows prompts and they have not taken: a stream that ran undisturbed for a while is not slower
// on the whole when a short prompt is then computed at once.
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
    most_us_ = kSteps * allowed_ * undisturbed_us;
    left_us_ = std::clamp(left_us_ + (1 + allowed_) * undisturbed_us - took_us, 0.0, most_us_);
  }
  // Nobody waited for that step.
  void undisturbed() { left_us_ = most_us_; }

  // Never more is given at once: a prompt that takes longer is no short one.
  double most_us() const { return most_us_; }
  double left_us() const { return left_us_; }
  bool is_full() const { return left_us_ >= most_us_; }

 private:
  // Of so many undisturbed steps the credit is kept. At the default target a gap may be as long as half of them, once
  // in as many tokens: rarer than one in a hundred while prompts come as rarely as agents send them.
  static constexpr double kSteps = 64;

  double allowed_;
  double most_us_ = 0;
  double left_us_ = 0;
};

}  // namespace kvern::schedule
