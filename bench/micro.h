// What the micro-benchmarks share: CPU time, quantiles, and how a measurement is printed.
#pragma once

#include <fmt/format.h>

#include <ctime>
#include <functional>
#include <string_view>

#include "quantile.h"

namespace kvern::bench {

// Of all threads of this process.
inline double cpu_us() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

inline double microseconds(const std::function<void()>& work) {
  const double begin = cpu_us();
  work();
  return cpu_us() - begin;
}

inline void report(std::string_view of, std::string_view what, double value, std::string_view unit) {
  fmt::print("{{\"what\": \"{}, {}\", \"value\": {}, \"unit\": \"{}\"}}\n", of, what, value, unit);
}

}  // namespace kvern::bench
