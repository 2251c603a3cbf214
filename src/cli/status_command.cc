#include "cli/status_command.h"

#include <fmt/format.h>

#include <array>

#include "cli/exit_code.h"
#include "cli/flags.h"
#include "cli/server_link.h"
#include "cli/settings.h"
#include "cli/terminal.h"

namespace kvern::cli {
namespace {

constexpr std::string_view kUsualServer = "http://127.0.0.1:8080";
constexpr int kLineTimeout_ms = 200;  // who draws a status line waits for it
constexpr int kTimeout_ms = 2'000;
constexpr std::size_t kModelCharacters = 32;

constexpr std::array kFlags = {
    Flag{"server", 0, "URL", "STATUS", "default: http://127.0.0.1:8080"},
    Flag{"line", 0, "", "STATUS", "at most 80 columns, always exit status 0, silent when no server answers"},
};
constexpr Command kCommand = {"status", "Says in a line what a running server is doing.", kFlags,
                              "  kvern status\n"
                              "  kvern status --line      for the status line of another program"};

std::string short_name(const std::string& model) {
  const std::string clean = without_controls(model);
  if (clean.size() <= kModelCharacters) return clean;
  std::size_t end = kModelCharacters - 1;
  while (end > 0 && (static_cast<unsigned char>(clean[end]) & 0xC0U) == 0x80U) --end;  // whole characters only
  return clean.substr(0, end) + "…";
}

std::string line_of(const HealthAnswer& health) {
  if (health.is_loading) return "kvern loads its model";
  std::string work = health.running == 0 ? std::string("idle") : fmt::format("{} running", health.running);
  if (health.waiting > 0) work += fmt::format(", {} waiting", health.waiting);
  return fmt::format("kvern {} · {}", short_name(health.model), work);
}

Result<int> status(std::span<const std::string> arguments) {
  TRY(const FlagValues flags, parse_flags(kCommand, arguments));
  if (flags.contains("help")) {
    put(help_text(kCommand));
    return kOk;
  }
  TRY(const Settings settings, gather_settings(kCommand, flags, process_environment()));
  const bool line = flags.contains("line");
  const std::string address = settings.text("server", kUsualServer);
  const auto health = ask_health(address, line ? kLineTimeout_ms : kTimeout_ms);
  const bool known = health && (health->is_kvern || health->is_loading);
  if (known) put(line_of(*health) + "\n");
  if (known || line) return kOk;
  return fail(Code::not_found,
              health ? fmt::format("what answers at {} is not kvern", address)
                     : fmt::format("no server answers at {}; start one with `kvern serve`", address),
              settings.origin("server"));
}

}  // namespace

int status_command(std::span<const std::string> arguments) {
  const Result<int> result = status(arguments);
  if (result) return *result;
  say_error(result.error());
  return exit_code(result.error());
}

}  // namespace kvern::cli
