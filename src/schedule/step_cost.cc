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
constexpr std::int32_t kChunkMin = 4;
// The rows such an attention takes at once: anything between costs more time than either.
constexpr std::int32_t kLargeChunkMin = 64;

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
  const double added_us = std::max(0.0, static_cast<double>(us) - decode.value());
  beside_[doublings(step.depth / 256, kDepths)].add(added_us / step.beside);
  grow_chunks(step);
}

// What was measured of smaller chunks says nothing of larger ones.
void StepCost::grow_chunks(const StepShape& step) {
  const std::size_t at = doublings(step.depth / 256, kDepths);
  const std::int32_t least = chunk_min(step.depth);
  const auto alone = nearest(alone_, step.depth);
  if (step.beside > least || least == kLargeChunkMin || !beside_[at].settled() || !alone) return;
  if (beside_[at].value() <= kWorthwhile * *alone) return;
  chunk_min_[at] = kLargeChunkMin;
  beside_[at].clear();
}

std::int32_t StepCost::chunk_min(std::int32_t depth) const {
  for (std::size_t i = doublings(depth / 256, kDepths) + 1; i-- > 0;) {
    if (chunk_min_[i] > 0) return chunk_min_[i];
  }
  return kChunkMin;
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
std::optional<double> StepCost::nearest(const ByDepth& costs, std::int32_t depth) {
  const std::size_t at = doublings(depth / 256, kDepths);
  for (std::size_t i = at + 1; i-- > 0;) {
    if (!costs[i].empty()) return costs[i].value();
  }
  for (std::size_t i = at + 1; i < kDepths; ++i) {
    if (!costs[i].empty()) return costs[i].value();
  }
  return std::nullopt;
}

std::optional<double> StepCost::token_us(std::int32_t depth) const {
  const auto beside = nearest(beside_, depth);
  return beside ? beside : nearest(alone_, depth);
}

}  // namespace kvern::schedule
