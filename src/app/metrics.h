// What /metrics says: counts of requests, and the cache's and the disk's own numbers beside them, in
// the Prometheus text format 0.0.4. Thread: any.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "cache/cache_report.h"
#include "cache/disk/disk_store.h"
#include "core/usage.h"

namespace kvern::app {

// Seconds; the text format wants them cumulative, each bucket with those below it.
class Histogram {
 public:
  void observe(double seconds);
  void write(std::string& out, std::string_view name, std::string_view help) const;

 private:
  static constexpr std::array kBounds_s = {0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                           1.0,   2.5,  5.0,   10.0, 30.0, 60.0, 120.0};
  std::array<std::uint64_t, kBounds_s.size() + 1> counts_{};  // the last: above all bounds
  double sum_s_ = 0;
};

// How a finished tool call was held to its schema.
enum class CallCheck {
  exact,      // by a grammar that holds all of it
  checked,    // by a check afterwards: valid
  invalid,    // by that check: not valid
  unchecked,  // by nothing: too much waited to be checked
  cut,        // it is no whole call: the turn ended inside it
};

class Metrics {
 public:
  // A request ended, as the engine knows it: that it called tools is for who reads its text to say.
  void request(const Usage& usage, FinishReason finish);
  // A request that ended with `stop` called tools.
  void ended_with_calls();

  void tool_call(CallCheck check);
  // A call was read from text that no grammar held; it is counted by its check as well.
  void unconstrained_tool_call();

  // What is asked at the time of a scrape.
  struct Now {
    std::int32_t running = 0;
    std::int32_t waiting = 0;
    cache::CacheReport cache;
    std::optional<cache::DiskStats> disk;  // nothing: no disk tier
  };
  std::string text(const Now& now) const;

 private:
  static constexpr std::size_t kFinishes = 5;
  static constexpr std::size_t kReasons = 13;
  static constexpr std::size_t kChecks = 5;

  void write_finishes(std::string& out) const;
  void write_calls(std::string& out) const;

  mutable std::mutex mutex_;
  std::array<std::uint64_t, kFinishes> finishes_{};  // by FinishReason, as the engine knows it
  std::uint64_t with_calls_ = 0;                     // of those that stopped
  mutable std::uint64_t stops_shown_ = 0;
  std::array<std::uint64_t, kChecks> checks_{};  // by CallCheck
  std::uint64_t unconstrained_calls_ = 0;
  std::array<std::uint64_t, kReasons> reasons_{};  // by ReuseStop
  std::uint64_t device_tokens_ = 0, memory_tokens_ = 0, disk_tokens_ = 0, computed_tokens_ = 0;
  std::uint64_t completion_tokens_ = 0;
  std::uint64_t drafted_tokens_ = 0;
  std::uint64_t accepted_tokens_ = 0;
  Histogram ttft_;
  Histogram queue_;
};

}  // namespace kvern::app
