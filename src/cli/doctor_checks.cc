#include "cli/doctor_checks.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>
#include <system_error>

#include "cli/gguf_file.h"
#include "cli/version.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLittleMemoryBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kLittleDiskBytes = std::uint64_t{1} << 30;
constexpr int kHealthTimeout_ms = 300;

std::set<std::string, std::less<>> cpu_features(std::string_view cpuinfo) {
  std::istringstream lines{std::string(cpuinfo)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("flags") && !line.starts_with("Features")) continue;
    std::istringstream words(line.substr(std::min(line.find(':') + 1, line.size())));
    std::set<std::string, std::less<>> features;
    for (std::string word; words >> word;) features.insert(word);
    return features;
  }
  return {};
}

// The folder itself, or the nearest one above it that is there.
fs::path nearest_existing(fs::path folder) {
  std::error_code error;
  folder = fs::absolute(folder, error);
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

}  // namespace

Check check_build() {
  return {"build", Verdict::pass, fmt::format("kvern {}, {}, llama.cpp {}", version(), compiler(), llama_commit()), {}};
}

Check check_cpu(std::string_view cpuinfo, std::string_view needed) {
  const auto has = cpu_features(cpuinfo);
  if (has.empty()) {
    return {"cpu", Verdict::warn, "this system does not say what its processor can do", {}};
  }
  std::string missing;
  std::istringstream words{std::string(needed)};
  for (std::string feature; words >> feature;) {
    if (!has.contains(feature)) missing += (missing.empty() ? "" : " ") + feature;
  }
  if (!missing.empty()) {
    return {"cpu", Verdict::fail, fmt::format("this binary uses {}, which this processor lacks", missing),
            "build it on this machine, or with -DGGML_NATIVE=OFF for any processor with AVX2"};
  }
  std::string present;
  for (const std::string_view feature : {"avx2", "fma", "f16c", "avx512f", "avx512_vnni", "amx_int8", "asimd", "sve"}) {
    if (has.contains(feature)) present += fmt::format("{}{}", present.empty() ? "" : " ", feature);
  }
  if (present.empty()) {
    return {"cpu", Verdict::warn, "no AVX2: this processor will be slow", {}};
  }
  return {"cpu", Verdict::pass, present, {}};
}

Check check_memory(std::optional<std::uint64_t> available_bytes, std::uint64_t model_bytes) {
  if (!available_bytes) return {"memory", Verdict::warn, "this system does not say how much memory is free", {}};
  const std::string available = fmt::format("{} available", human_bytes(*available_bytes));
  if (model_bytes > *available_bytes) {
    return {"memory", Verdict::fail, fmt::format("{}, but the model has {}", available, human_bytes(model_bytes)),
            "use a smaller model or quantisation, or a larger memory limit"};
  }
  if (*available_bytes - model_bytes < kLittleMemoryBytes) {
    return {"memory", Verdict::warn, fmt::format("{}: little for contexts and cache beside the model", available),
            "use a smaller --context, or a larger memory limit"};
  }
  return {"memory", Verdict::pass, available, {}};
}

Check check_cache_folder(const Result<fs::path>& folder) {
  if (!folder) return {"cache_dir", Verdict::fail, folder.error().message, "name a folder with --cache-dir"};
  const fs::path existing = nearest_existing(*folder);
  std::error_code error;
  const std::string name = folder->string();
  if (!fs::is_directory(existing, error)) {
    return {"cache_dir", Verdict::fail, fmt::format("{} is not a folder", existing.string()),
            "name another with --cache-dir"};
  }
  if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    return {"cache_dir", Verdict::fail, fmt::format("{} cannot be written: {}", name, std::strerror(errno)),
            "name another with --cache-dir"};
  }
  const fs::space_info space = fs::space(existing, error);
  if (error) return {"cache_dir", Verdict::warn, fmt::format("{}: free space unknown", name), {}};
  const std::string message = fmt::format("{}, {} free", name, human_bytes(space.available));
  if (space.available < kLittleDiskBytes) return {"cache_dir", Verdict::warn, message, "free some, or use --cache-dir"};
  return {"cache_dir", Verdict::pass, message, {}};
}

Check check_model(const std::string& given, const Result<std::string>& located, std::uint64_t& model_bytes) {
  if (!located) return {"model", Verdict::fail, located.error().message, "check --model"};
  if (located->starts_with("fake:")) return {"model", Verdict::pass, "a script for the fake engine", {}};
  const auto file = inspect_gguf(*located);
  if (file) {
    model_bytes = file->bytes;
    return {
        "model",
        Verdict::pass,
        fmt::format("{}, GGUF {}, {} tensors, {}", *located, file->version, file->tensors, human_bytes(file->bytes)),
        {}};
  }
  if (given.empty() && file.error().code == Code::not_found) {
    return {"model", Verdict::warn, "the default model is not here yet",
            "`kvern serve` fetches it once; or name your own with --model"};
  }
  return {"model", Verdict::fail, file.error().message, "check --model"};
}

PortState look_at_port(const std::string& host, std::uint16_t port) {
  PortState state;
  addrinfo wanted{};
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found); error != 0) {
    state.reason = ::gai_strerror(error);
    return state;
  }
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;  // as the server does: a port in TIME_WAIT is free
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  state.is_free = fd >= 0 && ::bind(fd, found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd, 1) == 0;
  if (!state.is_free) state.reason = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  ::freeaddrinfo(found);
  if (!state.is_free) {
    const bool everywhere = host == "0.0.0.0" || host == "::";
    const std::string name = everywhere ? "127.0.0.1" : host.find(':') == std::string::npos ? host : "[" + host + "]";
    state.health = ask_health(fmt::format("http://{}:{}", name, port), kHealthTimeout_ms);
  }
  return state;
}

Check check_port(const std::string& host, std::uint16_t port, const PortState& state) {
  const std::string where = fmt::format("{}:{}", host, port);
  if (state.is_free) return {"port", Verdict::pass, where + " is free", {}};
  if (state.health && state.health->is_kvern) return {"port", Verdict::pass, where + " is held by a kvern", {}};
  return {"port", Verdict::fail, fmt::format("{} cannot be had: {}", where, state.reason),
          "choose another with --port, or stop what listens there"};
}

Check check_server(const PortState& state) {
  if (!state.health || !state.health->is_kvern) {
    return {"server", Verdict::pass, "none is running", {}};
  }
  if (state.health->status != 200) {
    return {"server", Verdict::warn, fmt::format("it is not ready: /health says {}", state.health->status),
            "wait until the model is loaded, or look at its log"};
  }
  return {"server", Verdict::pass, fmt::format("ready with {}", state.health->model), {}};
}

}  // namespace kvern::cli
