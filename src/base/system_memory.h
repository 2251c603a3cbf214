// How much memory this process may still take.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace kvern {

// Bytes available without swapping: the machine's, or what its control groups (version 1 and 2)
// leave when that is less; file cache that can be dropped counts as free. Empty when the system
// does not say. root: where /proc and /sys lie, for tests.
std::optional<std::uint64_t> available_memory(const std::filesystem::path& root = "/");

}  // namespace kvern
