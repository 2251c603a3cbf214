#include "engine/llama/attention_tiles.h"

#include <algorithm>
#include <limits>

namespace kvern::engine {
namespace {

constexpr std::int64_t kTile = 64;
constexpr std::int64_t kPartsPerThread = 4;
// Less is not worth that others wait longer.
constexpr double kWorthwhile = 0.1;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

double attention_cost(std::int32_t tokens, std::int32_t heads, std::int32_t threads) {
  const std::int64_t rows = std::int64_t{tokens} * heads;
  if (rows <= 0 || threads <= 0) return 1;
  std::int64_t parts = divide_up(rows, divide_up(rows, threads * kPartsPerThread));
  if (threads == 1 || parts < threads) parts = threads;
  const std::int64_t part = divide_up(rows, parts);
  std::int64_t tiles = 0;
  for (std::int64_t begin = 0; begin < rows; begin += part) {
    const std::int64_t end = std::min(begin + part, rows);
    for (std::int64_t row = begin; row < end; ++tiles) row += std::min({kTile, end - row, tokens - row % tokens});
  }
  return static_cast<double>(tiles * kTile) / static_cast<double>(rows);
}

std::int32_t efficient_batch(std::int32_t heads, std::int32_t threads) {
  std::int32_t chosen = 0;
  double least = std::numeric_limits<double>::infinity();
  for (const std::int32_t tokens : {128, 192, 256}) {
    const double cost = attention_cost(tokens, heads, threads);
    if (cost > least - kWorthwhile) continue;
    least = cost;
    chosen = tokens;
  }
  return chosen;
}

}  // namespace kvern::engine
