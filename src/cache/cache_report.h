// What the cache holds and what it did, as plain values for logs, metrics and people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/record.h"

namespace kvern::cache {

// One record the prefix tree knows.
struct HeldRecord {
  RecordKind kind = RecordKind::block;
  Key key{};
  Key parent{};
  std::int32_t begin = 0;  // tokens [begin, end)
  std::int32_t end = 0;
  std::uint64_t ram_bytes = 0;  // 0: not in RAM
  bool on_disk = false;
  std::int32_t hits = 0;  // requests that used it after the one that made it
  double idle_s = 0;      // since it was used
};

// Counters are since start.
struct CacheReport {
  std::string mode;         // "full", "whole sequences", "off"
  std::string mode_reason;  // why not "full", in words; else empty
  std::int32_t cells = 0, cells_used = 0, sequences = 0, sequences_idle = 0;
  std::uint64_t ram_bytes = 0, ram_budget_bytes = 0;
  std::int64_t records_ram = 0, records_disk = 0, snapshots = 0;
  std::uint64_t ram_evictions = 0;
  std::uint64_t prompt_tokens = 0, device_tokens = 0, memory_tokens = 0, disk_tokens = 0, computed_tokens = 0;
  double prefill_tokens_s = 0;  // measured, 0: not yet
  double disk_bytes_s = 0;      // measured reads, 0: not yet
};

}  // namespace kvern::cache
