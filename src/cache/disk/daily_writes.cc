#include "cache/disk/daily_writes.h"

#include <fmt/format.h>

#include <sstream>

namespace kvern::cache {
namespace {

constexpr std::int64_t kHour_s = 3600;
constexpr std::int64_t kHours = 24;
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 50;  // of an hour in a file: more is damage

}  // namespace

void DailyWrites::add(std::int64_t now_s, std::uint64_t bytes) {
  const std::int64_t hour = now_s / kHour_s;
  hours_[hour] += bytes;
  hours_.erase(hours_.begin(), hours_.lower_bound(hour - kHours));
}

std::uint64_t DailyWrites::last_24h(std::int64_t now_s) const {
  std::uint64_t sum = 0;
  for (auto at = hours_.upper_bound(now_s / kHour_s - kHours); at != hours_.end(); ++at) sum += at->second;
  return sum;
}

std::string DailyWrites::to_text() const {
  std::string text;
  for (const auto& [hour, bytes] : hours_) text += fmt::format("{} {}\n", hour, bytes);
  return text;
}

DailyWrites DailyWrites::parse(std::string_view text, std::int64_t now_s) {
  DailyWrites writes;
  std::istringstream lines{std::string(text)};
  std::int64_t hour = 0;
  std::uint64_t bytes = 0;
  while (lines >> hour >> bytes) {
    const std::int64_t age = now_s / kHour_s - hour;
    if (age < kHours && age >= -kHours && bytes <= kBytesMax) writes.hours_[hour] = bytes;
  }
  return writes;
}

}  // namespace kvern::cache
