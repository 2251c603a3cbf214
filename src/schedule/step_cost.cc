#include "schedule/step_cost.h"

#include <algorithm>
#include <bit>

namespace kvern::schedule {
namespace {

// After so many steps with prefill in them one without is worth its time.
constexpr std::int32_t kRemeasureSteps = 32;
// What a shorter chunk says of a token's cost is mostly overhead. Beside a stream chunks are short, and
// the overhead is part of the question.
constexpr std::int32_t kTokensAlone = 32;
// A size of chunks that was dear may have been so because the machine was busy: after so many steps it is tried again.
constexpr std::int32_t kForgetSteps = 1024;

// What a row adds to a step of one, until it is measured: little, so that it is tried.
constexpr double kRowGuess = 0.2;

// Each crowd has a figure of its own, up to the largest: what a few tokens add is known from the difference.
std::size_t crowd(std::int32_t decoding, std::size_t end) {
  return std::clamp<std::size_t>(static_cast<std::size_t>(std::max(decoding, 1)), 1, end) - 1;
}

std::size_t doublings(std::int32_t value, std::size_t end) {
  return std::min<std::size_t>(std::bit_width(static_cast<std::uint32_t>(std::max(value, 0))), end - 1);
}

}  // namespace

void StepCost::Median::add(double value) {
  values_[count_ % kKept] = value;
  ++count_;
}

double StepCost::Median::value() const {
  std::array<double, kKept> sorted = values_;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(count_, kKept));
  std::sort(sorted.begin(), end);
  // Of two in the middle the smaller: the first step after a pause is the slow one.
  return sorted[(std::min(count_, kKept) - 1) / 2];
}

void StepCost::measured(const StepShape& step, std::int64_t us) {
  if (step.decoding == 0) {
    if (step.beside < kTokensAlone) return;
    alone_[doublings(step.depth / 256, kDepths)].add(static_cast<double>(us) / step.beside);
    return;
  }
  Median& decode = decode_[crowd(step.decoding, kCrowds)];
  const auto rows = static_cast<std::size_t>(step.decoding + step.drafted);
  if (step.beside == 0 && rows <= kRows) rows_[rows].add(static_cast<double>(us));
  if (step.drafted > 0) {
    ++since_decode_;
    return;
  }
  if (step.beside == 0) {
    decode.add(static_cast<double>(us));
    since_decode_ = 0;
    return;
  }
  ++since_decode_;
  if (decode.empty()) return;
  measured_beside(step, std::max(0.0, static_cast<double>(us) - decode.value()));
}

void StepCost::measured_beside(const StepShape& step, double added_us) {
  std::size_t size = kChunks.size() - 1;
  while (size > 0 && kChunks[size] > step.beside) --size;
  beside_[size][doublings(step.depth / 256, kDepths)].add(added_us / step.beside);
  if (++remembered_ < kForgetSteps) return;
  remembered_ = 0;
  for (std::size_t other = 0; other < kChunks.size(); ++other) {
    if (other == size) continue;
    for (Median& cost : beside_[other]) cost.clear();
  }
}

std::optional<double> StepCost::decode_us(std::int32_t decoding) const {
  const Median& decode = decode_[crowd(decoding, kCrowds)];
  if (decode.empty() || since_decode_ >= kRemeasureSteps) return std::nullopt;
  return decode.value();
}

std::optional<double> StepCost::rows_us(std::int32_t rows) const {
  const auto at = std::min(static_cast<std::size_t>(std::max(rows, 1)), kRows);
  std::size_t below = at;
  while (below > 0 && rows_[below].empty()) --below;
  std::size_t above = at;
  while (above <= kRows && rows_[above].empty()) ++above;
  if (below == 0 && above > kRows) return std::nullopt;
  if (below == 0) return rows_[above].value();
  const double from = rows_[below].value();
  if (below == at) return from;
  const auto further = static_cast<double>(at - below);
  if (above > kRows) return from * (1 + kRowGuess * further / static_cast<double>(below));
  return from + (rows_[above].value() - from) * further / static_cast<double>(above - below);
}

// A depth that was not measured costs as the nearest shallower one did.
const StepCost::Median* StepCost::nearest(const ByDepth& costs, std::int32_t depth) {
  const std::size_t at = doublings(depth / 256, kDepths);
  for (std::size_t i = at + 1; i-- > 0;) {
    if (!costs[i].empty()) return &costs[i];
  }
  for (std::size_t i = at + 1; i < kDepths; ++i) {
    if (!costs[i].empty()) return &costs[i];
  }
  return nullptr;
}

// Of a token in chunks of that size. While that is not certain, what larger ones cost or batches alone, if those were
// measured at about that depth: a shallow batch is no measure of what a deep one could save.
std::optional<double> StepCost::expected_us(std::size_t chunk, std::int32_t depth) const {
  std::optional<double> known;
  for (std::size_t size = chunk; size < kChunks.size(); ++size) {
    const Median* cost = nearest(beside_[size], depth);
    if (!cost) continue;
    known = std::min(known.value_or(cost->value()), cost->value());
    if (cost->settled()) return known;
  }
  const std::size_t at = doublings(depth / 256, kDepths);
  for (std::size_t i = at + 1; i-- > (at > 1 ? at - 1 : 0);) {
    if (!alone_[i].empty()) return std::min(known.value_or(alone_[i].value()), alone_[i].value());
  }
  for (std::size_t size = chunk; !known && size-- > 0;) {
    if (const Median* cost = nearest(beside_[size], depth)) known = cost->value();
  }
  if (known) return known;
  const Median* alone = nearest(alone_, depth);
  return alone ? std::optional(alone->value()) : std::nullopt;
}

std::optional<double> StepCost::prompt_us(std::int32_t tokens, std::int32_t depth) const {
  const Median* token = nearest(alone_, depth + tokens);
  if (!token) return std::nullopt;
  return token->value() * tokens;
}

StepCost::Chunk StepCost::chunk(std::int32_t depth, double us) const {
  std::array<double, kChunks.size()> costs{};
  for (std::size_t size = 0; size < costs.size(); ++size) {
    const auto cost = expected_us(size, depth);
    if (!cost) return {};
    costs[size] = *cost;
  }
  const double cheapest = *std::min_element(costs.begin(), costs.end());
  std::size_t chosen = 0;
  while (costs[chosen] > kWorthwhile * cheapest) ++chosen;
  for (std::size_t size = chosen; size < costs.size(); ++size)
    if (costs[size] * kChunks[size] <= us) chosen = size;
  const std::int32_t most = chosen + 1 < kChunks.size() ? kChunks[chosen + 1] - 1 : INT32_MAX;
  return {costs[chosen], kChunks[chosen], most};
}

}  // namespace kvern::schedule
