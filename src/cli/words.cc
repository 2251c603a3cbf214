#include "cli/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace kvern::cli {
namespace {

// Edits (insert, delete, replace, swap of neighbours) that turn one word into the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> next(b.size() + 1);
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      next[j] = std::min({replace, row[j] + 1, next[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        next[j] = std::min(next[j], before[j - 2] + 1);
    }
    before = std::move(row);
    row = std::move(next);
  }
  return row[b.size()];
}

template <typename Number>
std::optional<Number> parse_whole(std::string_view word) {
  Number number{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view word) {
  const std::size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
  const auto number = parse_whole<std::uint64_t>(word.substr(0, digits));
  std::string_view unit = word.substr(digits);
  if (!number) return std::nullopt;
  unsigned shift = 0;
  if (!unit.empty()) {
    const std::size_t index = std::string_view("kKmMgGtT").find(unit.front());
    if (index == std::string_view::npos) return std::nullopt;
    shift = 10U * (static_cast<unsigned>(index) / 2 + 1);
    unit.remove_prefix(1);
    if (unit != "" && unit != "B" && unit != "b" && unit != "iB") return std::nullopt;
  }
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (*number > (kMost >> shift)) return std::nullopt;
  return *number << shift;
}

std::optional<std::int64_t> parse_integer(std::string_view word, std::int64_t least, std::int64_t most) {
  const auto number = parse_whole<std::int64_t>(word);
  if (!number || *number < least || *number > most) return std::nullopt;
  return number;
}

std::optional<double> parse_decimal(std::string_view word) {
  const auto number = parse_whole<double>(word);
  if (!number || !std::isfinite(*number)) return std::nullopt;
  return number;
}

std::optional<bool> parse_switch(std::string_view word) {
  for (const std::string_view yes : {"1", "true", "yes", "on"}) {
    if (word == yes) return true;
  }
  for (const std::string_view no : {"0", "false", "no", "off"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

std::string human_bytes(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> kUnits = {"B", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
  std::string_view best;
  // A third of the letters may be wrong: "prot" is port, "verbose" is nothing we know.
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view name : names) {
    const std::size_t edits = distance(word, name);
    if (edits < best_distance) {
      best = name;
      best_distance = edits;
    }
  }
  return best;
}

}  // namespace kvern::cli
