#include "cli/doctor_command.h"
#include "base/system_memory.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

#include "cli/doctor_checks.h"
#include "cli/exit_code.h"
#include "cli/flags.h"
#include "cli/model_store.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "cli/version.h"

namespace kvern::cli {
namespace {

constexpr std::array kFlags = {
    Flag{"json", 0, "", "FLAGS", "the report as JSON"},
    Flag{"model", 'm', "PATH", "FLAGS", "the model you want to serve"},
    Flag{"host", 0, "ADDRESS", "FLAGS", "default: 127.0.0.1"},
    Flag{"port", 'p', "N", "FLAGS", "default: 8080"},
    Flag{"cache-dir", 0, "PATH", "FLAGS", "default: ~/.cache/kvern"},
};

constexpr Command kCommand = {"doctor", "Looks for what would keep a server from running here. Changes nothing.",
                              kFlags, "  kvern doctor -m qwen3-coder.gguf\n  kvern doctor --json"};

std::vector<Check> examine(const Settings& settings, std::uint16_t port) {
  const auto folder = cache_folder(settings.text("cache-dir"), process_environment());
  const std::string given = settings.text("model");
  const auto located = locate_model(given, folder.value_or(std::filesystem::path()));
  std::ifstream cpuinfo("/proc/cpuinfo");
  const std::string cpu_text((std::istreambuf_iterator<char>(cpuinfo)), std::istreambuf_iterator<char>());
  std::uint64_t model_bytes = 0;
  const Check model = check_model(given, located, model_bytes);
  const std::string host = settings.text("host", "127.0.0.1");
  const PortState state = look_at_port(host, port);
  return {check_build(),
          check_cpu(cpu_text, needed_cpu_features()),
          check_memory(available_memory(), model_bytes),
          check_cache_folder(folder),
          model,
          check_port(host, port, state),
          check_server(state)};
}

Result<int> doctor(std::span<const std::string> arguments) {
  TRY(const FlagValues flags, parse_flags(kCommand, arguments));
  if (flags.contains("help")) {
    put(help_text(kCommand));
    return kOk;
  }
  TRY(const Settings settings, gather_settings(kCommand, flags, process_environment()));
  TRY(const std::int64_t port, settings.integer("port", 8080, 1, 65'535));
  TRY(const bool json, settings.on("json"));
  const std::vector<Check> checks = examine(settings, static_cast<std::uint16_t>(port));
  put(json ? report_json(checks) : report_text(checks, STDOUT_FILENO));
  return any_failed(checks) ? kFailed : kOk;
}

}  // namespace

int doctor_command(std::span<const std::string> arguments) {
  const Result<int> status = doctor(arguments);
  if (status) return *status;
  say_error(status.error());
  return exit_code(status.error());
}

}  // namespace kvern::cli
