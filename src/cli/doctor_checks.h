// What `kvern doctor` looks at: one function a check, with what it reads as a parameter.
//
// The ids are fixed; scripts may rely on them. Thread: main.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/server_link.h"

namespace kvern::cli {

enum class Verdict { pass, warn, fail };

struct Check {
  std::string id;
  Verdict verdict = Verdict::pass;
  std::string message;
  std::string hint;  // what to do; empty when there is nothing to
};

Check check_build();

// cpuinfo is /proc/cpuinfo's text; needed as in version.h.
Check check_cpu(std::string_view cpuinfo, std::string_view needed);

Check check_memory(std::optional<std::uint64_t> available_bytes, std::uint64_t model_bytes);

// Looks without making anything.
Check check_cache_folder(const Result<std::filesystem::path>& folder);

// located as locate_model() gives it; given is what --model says. model_bytes is set when known.
Check check_model(const std::string& given, const Result<std::string>& located, std::uint64_t& model_bytes);

struct PortState {
  bool is_free = false;
  std::string reason;  // why it cannot be had
  std::optional<HealthAnswer> health;
};
PortState look_at_port(const std::string& host, std::uint16_t port);
Check check_port(const std::string& host, std::uint16_t port, const PortState& state);
Check check_server(const PortState& state);

// The last line: what all of it means.
std::string closing_sentence(const std::vector<Check>& checks);
bool any_failed(const std::vector<Check>& checks);

std::string report_text(const std::vector<Check>& checks, int fd);
// {"version":1,"ok":...,"checks":[{"id","status","message","hint"}],"summary":...}
std::string report_json(const std::vector<Check>& checks);

}  // namespace kvern::cli
