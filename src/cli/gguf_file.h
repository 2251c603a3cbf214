// Is this a GGUF file, and is all of it here? Asked before minutes of loading, so that the answer
// is a sentence and not a library's log. Thread: any.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace kvern::cli {

struct GgufFile {
  std::uint32_t version = 0;
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;
};

// Reads the header only. Code::not_found when there is no such file, Code::invalid when it is
// something else than a GGUF, Code::corrupt when it ends before its last tensor begins.
Result<GgufFile> inspect_gguf(const std::filesystem::path& path);

}  // namespace kvern::cli
