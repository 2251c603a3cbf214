// Which files go when room is needed: pure, so that it is tested without a disk.
//
// First what nobody can read (put aside, other format versions), then records by keep_score(), those
// of other models among them. Of our own records a parent never goes before what builds on it: a block
// without the one before it is dead weight. Thread: any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "cache/record.h"

namespace kvern::cache {

// A record of the open model.
struct OwnFile {
  RecordId id;
  Key parent{};
  float cost_ms = 0;
  std::uint32_t hits = 0;
  std::int64_t used_s = 0;
  std::uint64_t bytes = 0;
  bool pinned = false;
};

// A file below the directory that is not a record of the open model.
struct OtherFile {
  enum class What {
    useless,  // put aside, or of a format we do not read
    record,   // of another model; its header was not read
  };
  What what = What::useless;
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::int64_t used_s = 0;
  bool pinned = false;  // or a pinned record builds on it
};

struct EvictionPlan {
  std::vector<std::size_t> own;     // indices, in the order to go
  std::vector<std::size_t> others;  // indices
  std::uint64_t bytes = 0;          // that this frees; less than asked when the rest must stay
};

// expected: parents of records about to be written; they stay.
EvictionPlan plan_eviction(std::span<const OwnFile> own, std::span<const OtherFile> others,
                           std::span<const Key> expected, std::uint64_t bytes_to_free, std::int64_t now_s);

}  // namespace kvern::cache
