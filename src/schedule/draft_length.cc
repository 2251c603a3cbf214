#include "schedule/draft_length.h"

#include <algorithm>

#include "schedule/step_cost.h"

namespace kvern::schedule {
namespace {

constexpr double kLearning = 0.1;
// What looks better by less may be an error of the measurement.
constexpr double kWorthwhile = 1.05;
// One token now and then costs less than a hundredth.
constexpr std::int32_t kTryAgain = 48;

}  // namespace

std::size_t DraftLength::kind(std::int32_t matched) {
  if (matched == kByModel) return 3;
  return matched < 6 ? 0 : matched < 16 ? 1 : 2;
}

void DraftLength::judged(std::int32_t matched, std::int32_t drafted, std::int32_t right) {
  double& chance = chances_[kind(matched)];
  for (std::int32_t i = 0; i < right; ++i) chance += kLearning * (1 - chance);
  if (right < drafted) chance -= kLearning * chance;
}

std::int32_t DraftLength::add_to(Step& step, std::int32_t matched, std::int32_t tokens_max, const StepCost& cost,
                                 double guess_us) {
  const std::int32_t length = choose(step, matched, tokens_max, cost, guess_us);
  step.rows += length;
  step.guess_us += length * guess_us;
  double reached = 1;
  for (std::int32_t i = 0; i < length; ++i) step.tokens += reached *= chance(matched);
  return length;
}

std::int32_t DraftLength::choose(const Step& step, std::int32_t matched, std::int32_t tokens_max, const StepCost& cost,
                                 double guess_us) {
  const auto without_us = cost.rows_us(step.rows);
  if (!without_us || *without_us <= 0) return 0;
  double best = step.tokens / (*without_us + step.guess_us) * kWorthwhile;
  std::int32_t length = 0;
  double tokens = step.tokens;
  double reached = 1;
  for (std::int32_t n = 1; n <= tokens_max; ++n) {
    const auto rows_us = cost.rows_us(step.rows + n);
    if (!rows_us) break;
    const double us = *rows_us + step.guess_us + n * guess_us;
    reached *= chance(matched);
    tokens += reached;
    if (step.us_max > 0 && us > step.us_max) continue;  // one slow step of that size, perhaps
    if (tokens / us <= best) continue;
    best = tokens / us;
    length = n;
  }
  std::int32_t& declined = declined_[kind(matched)];
  if (length == 0 && (tokens_max == 0 || ++declined < kTryAgain)) return 0;
  declined = 0;
  return std::max(length, 1);
}

}  // namespace kvern::schedule
