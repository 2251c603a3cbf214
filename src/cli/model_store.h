// From what was said after --model to a file that can be opened. Thread: main.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "cli/default_model.h"
#include "cli/settings.h"

namespace kvern::cli {

// --cache-dir, else KVERN_CACHE_DIR (both are in `given`), else $XDG_CACHE_HOME/kvern, else
// ~/.cache/kvern. Code::invalid when none of them is there.
Result<std::filesystem::path> cache_folder(const std::string& given, const Environment& environment);

// A GGUF file, a folder with one model in it, a name as in local_models.h, "fake:SCRIPT.json", or "" for the
// default model.
// Returns what the engine opens, looked at enough to know that it is one. Errors carry --model.
Result<std::string> resolve_model(const std::string& given, const std::filesystem::path& cache_folder,
                                  const Runner& run);

// The same without fetching: for `doctor`. For "" the path where the default model would lie.
Result<std::string> locate_model(const std::string& given, const std::filesystem::path& cache_folder);

}  // namespace kvern::cli
