// What this binary is. Set by the build.
#pragma once

#include <string>
#include <string_view>

namespace kvern::cli {

std::string_view version();       // "0.1.0"
std::string_view llama_commit();  // twelve letters of it, or "unknown"
std::string compiler();           // "g++ 12.2.0"

// Names from /proc/cpuinfo that the inference kernels were compiled to use, separated by spaces.
std::string_view needed_cpu_features();

}  // namespace kvern::cli
