// How much was written in the last 24 hours, so that a cache does not wear out the drive it lives on.
//
// Kept by the hour, as a small text that survives restarts: the times of the records cannot tell,
// because using one moves its time. Thread: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace kvern::cache {

class DailyWrites {
 public:
  void add(std::int64_t now_s, std::uint64_t bytes);
  // Hours after now count, too: a clock that went back gives no second budget.
  std::uint64_t last_24h(std::int64_t now_s) const;

  // "HOUR BYTES" lines, HOUR in hours since 1970.
  std::string to_text() const;
  // Takes what can be read; lines more than a day after now are of a clock that was wrong.
  static DailyWrites parse(std::string_view text, std::int64_t now_s);

 private:
  std::map<std::int64_t, std::uint64_t> hours_;
};

}  // namespace kvern::cache
