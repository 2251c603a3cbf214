// Names below a cache directory. docs/disk-format.md has the picture. Thread: any; pure.
#pragma once

#include <string>
#include <string_view>

#include "cache/disk/record_format.h"

namespace kvern::cache::layout {

inline constexpr std::string_view kLock = "lock";
inline constexpr std::string_view kVersion = "v1";
inline constexpr std::string_view kQuarantine = "quarantine";
inline constexpr std::string_view kModel = "model.json";
inline constexpr std::string_view kWritten = "written";
inline constexpr std::string_view kPin = ".pin";
inline constexpr std::string_view kTemporary = ".tmp";

inline bool is_temporary(std::string_view name) { return name.ends_with(kTemporary); }

// "v" and digits: a folder of this or another version of the format.
inline bool is_version(std::string_view name) {
  return name.size() > 1 && name[0] == 'v' && name.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

// The two digits a model's records are spread by.
inline std::string shard(const Key& key) { return to_hex(std::span(key).first(1)); }

}  // namespace kvern::cache::layout
