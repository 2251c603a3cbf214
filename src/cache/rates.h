// How fast prompts are computed and records are read here, measured as it happens.
//
// Thread: engine.
#pragma once

#include <array>
#include <cstdint>

namespace kvern::cache {

class Rates {
 public:
  // `tokens` prompt tokens were computed in us, the first at position depth.
  void computed(std::int32_t depth, std::int32_t tokens, std::int64_t us);
  void read(std::uint64_t bytes, std::int64_t us);

  // Computing prompt tokens [begin, end). 0 until something was computed.
  double compute_ms(std::int32_t begin, std::int32_t end) const;
  // Reading bytes from disk.
  double read_ms(std::uint64_t bytes) const;

  double tokens_per_s() const;  // of the latest depth measured; 0: not yet
  double disk_bytes_per_s() const { return disk_measured_ ? disk_bytes_per_s_ : 0; }

 private:
  // Attention costs grow with depth, so each doubling of it is measured apart.
  static constexpr std::size_t kDepths = 20;
  double ms_per_token(std::int32_t depth) const;

  std::array<double, kDepths> ms_per_token_{};  // 0: not measured
  std::size_t latest_ = 0;
  double disk_bytes_per_s_ = 500e6;  // a SATA disk, until measured
  bool disk_measured_ = false;
};

}  // namespace kvern::cache
