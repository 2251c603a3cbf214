// What a record is worth keeping: the one measure both tiers evict by, lowest first.
//
// Thread: any; pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kvern::cache {

// Milliseconds of computing that a byte kept is expected to save, per second of waiting:
//   cost_ms * (hits + 1) / bytes / (idle_s + 60)
// cost_ms: computing it again. hits: uses after the one that made it; the + 1 gives a new record its
// chance. idle_s: since its last use; the chance of another falls with it, and the 60 s keep one busy
// conversation from looking infinitely better than one whose user reads. A clock that went back is
// no idleness. Comparable only with itself.
inline double keep_score(double cost_ms, std::uint32_t hits, double idle_s, std::uint64_t bytes) {
  const double uses = static_cast<double>(hits) + 1.0;
  const double size = static_cast<double>(std::max<std::uint64_t>(bytes, 1));
  return cost_ms * uses / size / (std::max(idle_s, 0.0) + 60.0);
}

}  // namespace kvern::cache
