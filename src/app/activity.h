// What the server does, as it is told to who watches: values, and the JSON of docs/events.md.
// Pure; thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/text_memory.h"
#include "core/usage.h"
#include "schedule/scheduler.h"

namespace kvern::app {

inline constexpr int kActivityVersion = 1;

// A request that has ended. Its report is of its last moment.
struct EndedRequest {
  schedule::RequestReport report;
  Usage usage;
  FinishReason finish = FinishReason::stop;
};

struct ActivityTotals {
  std::int32_t running = 0;
  std::int32_t waiting = 0;
  std::uint64_t ended = 0;  // requests since start
  std::int32_t cells_used = 0, cells = 0;
  std::uint64_t ram_bytes = 0, ram_budget_bytes = 0;
  std::uint64_t disk_bytes = 0, disk_budget_bytes = 0;  // 0: no disk tier

  bool operator==(const ActivityTotals&) const = default;
};

// Sessions in it are those of session_name().
struct Activity {
  std::int64_t time_ms = 0;  // since 1970
  std::string model;
  std::int32_t context = 0;
  std::int32_t parallel = 0;
  ActivityTotals totals;
  std::vector<schedule::RequestReport> requests;  // those that run first
  std::vector<EndedRequest> ended;                // since the last time, oldest first
};

// A client's name for its conversation may say more about it than others should read. The same name and secret give
// the same word; "SESSION/AGENT" gives two.
std::string session_name(const std::string& session, const std::string& secret);

// The same with one secret, for sessions that come again and again: each is hashed once.
// Kept within limits::kSessionWordBytes.
class SessionWords {
 public:
  explicit SessionWords(std::string secret) : secret_(std::move(secret)) {}
  std::string of(const std::string& session) const;

 private:
  const std::string secret_;
  mutable TextMemory known_{limits::kSessionWordBytes};
};

// One JSON object each. Requests that do not fit bytes_max are left out, and counted.
std::string snapshot_json(const Activity& now, std::size_t bytes_max);
std::string change_json(const Activity& now, const std::vector<const schedule::RequestReport*>& changed);
std::string end_json(const EndedRequest& ended, const std::string& model);

// More than time has passed between them.
bool differs(const schedule::RequestReport& before, const schedule::RequestReport& now);

}  // namespace kvern::app
