// Puts the agents on a described machine: the scheduler and the cache as they are, the engine and the disk in
// fake time.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "cache/prefix_cache.h"
#include "scale/agents.h"
#include "scale/machine.h"

namespace kvern::bench {

struct Projection {
  std::size_t requests = 0;
  double ttft_p50_s = 0;
  double ttft_p95_s = 0;
  double stream_tokens_s = 0;  // of one stream while it decodes, the median over requests
  double prompt_tokens = 0;
  double computed_share = 0;  // of them
  double from_ram_share = 0;
  double from_disk_share = 0;
  double hours = 0;  // from the first request to the last answer
  double disk_written_gb = 0;
  std::int64_t steps = 0;
};

// Code::failed when the fake engine found a wrong reuse, or a request did not end as it should.
Result<Projection> project(const Deployment& deployment, const TrafficShape& shape, cache::Mode mode);

}  // namespace kvern::bench
