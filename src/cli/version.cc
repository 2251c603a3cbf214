#include "cli/version.h"

#include <fmt/format.h>

namespace kvern::cli {

std::string_view version() { return KVERN_VERSION; }

std::string_view llama_commit() { return KVERN_LLAMA_COMMIT; }

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang++ {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__GNUC__)
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#else
  return "unknown compiler";
#endif
}

std::string_view needed_cpu_features() { return KVERN_CPU_FEATURES; }

}  // namespace kvern::cli
