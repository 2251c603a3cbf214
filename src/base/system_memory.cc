#include "base/system_memory.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace kvern {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 60;  // version 1 writes "none" as a huge number

std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;  // not there, or "max"
}

std::optional<std::uint64_t> machine_bytes(const fs::path& root) {
  std::ifstream file(root / "proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t kib = 0;
    if (words >> name >> kib && name == "MemAvailable:") return kib * 1024;
  }
  return std::nullopt;
}

// Bytes of file cache in a group: they count as used and are given up when needed.
std::uint64_t reclaimable_bytes(const fs::path& stat_file) {
  std::ifstream file(stat_file);
  std::string name;
  std::uint64_t bytes = 0;
  while (file >> name >> bytes) {
    if (name == "inactive_file" || name == "total_inactive_file") return bytes;
  }
  return 0;
}

void apply(std::optional<std::uint64_t>& available, const fs::path& limit_file, const fs::path& used_file,
           const fs::path& stat_file) {
  const auto limit = number_in(limit_file);
  if (!limit || *limit >= kUnlimited) return;
  const std::uint64_t used = number_in(used_file).value_or(0);
  const std::uint64_t kept = used - std::min(used, reclaimable_bytes(stat_file));
  const std::uint64_t left = *limit - std::min(*limit, kept);
  available = std::min(available.value_or(left), left);
}

}  // namespace

std::optional<std::uint64_t> available_memory(const fs::path& root) {
  std::optional<std::uint64_t> available = machine_bytes(root);
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // "0::/user.slice/x.scope" (version 2) or "4:memory:/docker/abc" (version 1)
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && controllers != "memory") continue;
    const fs::path base = root / (unified ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    // A limit of any group above counts, too. Inside a container the path may not exist; the root does.
    for (fs::path group = fs::path(line.substr(second + 1)).relative_path();; group = group.parent_path()) {
      const fs::path folder = base / group;
      if (unified) {
        apply(available, folder / "memory.max", folder / "memory.current", folder / "memory.stat");
      } else {
        apply(available, folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes", folder / "memory.stat");
      }
      if (group.empty()) break;
    }
  }
  return available;
}

}  // namespace kvern
