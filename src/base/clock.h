// Time as a parameter, so that tests own it.
#pragma once

#include <cstdint>

namespace kvern {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t now_us() const = 0;  // monotonic; only differences mean anything
};

// The process-wide steady clock. Thread: any.
const Clock& steady_clock();

// Seconds since 1970, for the `created` fields of the wire formats.
std::int64_t unix_time_s();
std::int64_t unix_time_ms();

class FakeClock final : public Clock {
 public:
  std::int64_t now_us() const override { return now_us_; }
  void advance_us(std::int64_t step) { now_us_ += step; }

 private:
  std::int64_t now_us_ = 0;
};

}  // namespace kvern
