#include "base/system_memory.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace kvern {
namespace {

// "MemAvailable:   24000 kB" -> bytes.
std::uint64_t meminfo_bytes(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kib = 0;
  std::string unit;
  while (file >> name >> kib) {
    std::getline(file, unit);
    if (name == key + ":") return kib * 1024;
  }
  return 0;
}

std::uint64_t number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : 0;  // "max" is no number: no limit
}

}  // namespace

std::uint64_t available_memory_bytes() {
  std::uint64_t available = meminfo_bytes("MemAvailable");
  const std::uint64_t limit = number_in("/sys/fs/cgroup/memory.max");
  if (limit > 0) {
    const std::uint64_t used = number_in("/sys/fs/cgroup/memory.current");
    available = std::min(available, limit > used ? limit - used : 0);
  }
  return available;
}

}  // namespace kvern
