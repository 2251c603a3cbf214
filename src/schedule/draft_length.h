// How many guessed tokens are worth computing beside one that is sure: by how often such guesses were right,
// and by what steps of so many tokens take here.
//
// A guess that agrees long with what was written is right more often than one of three tokens, and a draft model's
// differ from both, so the chances are learned apart. Where guesses turned out not to pay, one token is tried now and
// then.
//
// Thread: engine. Pure but for what it learns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kvern::schedule {

class StepCost;

class DraftLength {
 public:
  // In place of a number of tokens that agreed: a draft model guessed.
  static constexpr std::int32_t kByModel = -1;

  // Of `drafted` tokens, guessed after `matched` that agreed, the first `right` were what came.
  void judged(std::int32_t matched, std::int32_t drafted, std::int32_t right);

  // That the next guessed token is right when all before were.
  double chance(std::int32_t matched) const { return chances_[kind(matched)]; }

  // What a step does so far.
  struct Step {
    std::int32_t rows = 1;  // tokens with logits, one for each stream and those drafted for others
    double tokens = 1;      // expected of it
    double us_max = 0;      // it may not take longer with the draft; 0: as long as it pays
    double guess_us = 0;    // what guesses added to it take before it
  };
  // Up to tokens_max, what gives most tokens a time, added to the step; 0 when it does not pay, or what steps cost is
  // unknown. guess_us: what making a guess takes, each token.
  std::int32_t add_to(Step& step, std::int32_t matched, std::int32_t tokens_max, const StepCost& cost,
                      double guess_us = 0);

 private:
  static constexpr std::size_t kKinds = 4;
  static std::size_t kind(std::int32_t matched);
  std::int32_t choose(const Step& step, std::int32_t matched, std::int32_t tokens_max, const StepCost& cost,
                      double guess_us);

  std::array<double, kKinds> chances_{0.4, 0.6, 0.8, 0.7};
  std::array<std::int32_t, kKinds> declined_{};  // in a row
};

}  // namespace kvern::schedule
