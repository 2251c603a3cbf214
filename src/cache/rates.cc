#include "cache/rates.h"

#include <algorithm>
#include <bit>

namespace kvern::cache {
namespace {

// Weight of the newest measurement.
constexpr double kNew = 0.2;
// A short chunk's time is mostly overhead.
constexpr std::int32_t kTokensMin = 32;
// Opening a file and a thread's wake-up, per read.
constexpr double kReadOverhead_ms = 0.3;

std::size_t bucket(std::int32_t depth, std::size_t count) {
  return std::min<std::size_t>(std::bit_width(static_cast<std::uint32_t>(std::max(depth, 0)) / 256), count - 1);
}

double blend(double old, double now) { return old == 0 ? now : old + kNew * (now - old); }

}  // namespace

void Rates::computed(std::int32_t depth, std::int32_t tokens, std::int64_t us) {
  if (tokens < kTokensMin || us <= 0) return;
  latest_ = bucket(depth, kDepths);
  ms_per_token_[latest_] = blend(ms_per_token_[latest_], static_cast<double>(us) / 1e3 / tokens);
}

void Rates::read(std::uint64_t bytes, std::int64_t us) {
  if (bytes == 0 || us <= 0) return;
  const double rate = static_cast<double>(bytes) / (static_cast<double>(us) / 1e6);
  disk_bytes_per_s_ = disk_measured_ ? blend(disk_bytes_per_s_, rate) : rate;
  disk_measured_ = true;
}

// The nearest measured depth stands for one that was not; the shallower of two, which says too
// little rather than too much.
double Rates::ms_per_token(std::int32_t depth) const {
  const std::size_t at = bucket(depth, kDepths);
  for (std::size_t i = at + 1; i-- > 0;) {
    if (ms_per_token_[i] > 0) return ms_per_token_[i];
  }
  for (std::size_t i = at + 1; i < kDepths; ++i) {
    if (ms_per_token_[i] > 0) return ms_per_token_[i];
  }
  return 0;
}

double Rates::compute_ms(std::int32_t begin, std::int32_t end) const {
  double sum = 0;
  while (begin < end) {
    // To the end of begin's bucket.
    const std::int32_t next =
        begin < 256 ? 256 : std::int32_t{256} << std::bit_width(static_cast<std::uint32_t>(begin) / 256);
    const std::int32_t to = std::min(end, next);
    sum += (to - begin) * ms_per_token(begin);
    begin = to;
  }
  return sum;
}

double Rates::read_ms(std::uint64_t bytes) const {
  return kReadOverhead_ms + static_cast<double>(bytes) / disk_bytes_per_s_ * 1e3;
}

double Rates::tokens_per_s() const { return ms_per_token_[latest_] > 0 ? 1e3 / ms_per_token_[latest_] : 0; }

}  // namespace kvern::cache
