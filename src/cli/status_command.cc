#include "cli/status_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/conversation.h"
#include "cli/exit_code.h"
#include "cli/flags.h"
#include "cli/server_link.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "cli/watch_status.h"

namespace kvern::cli {
namespace {

constexpr int kLineTimeout_ms = 200;  // who draws a status line waits for it
constexpr int kTimeout_ms = 2'000;
constexpr std::size_t kModelBytes = 24;  // never fewer than its columns
constexpr std::size_t kModelBytesLeast = 8;
constexpr std::size_t kColumns = 80;

constexpr std::array kFlags = {
    Flag{"server", 0, "URL", "STATUS", "default: http://127.0.0.1:8080"},
    Flag{"api-key", 0, "KEY", "STATUS", "better kept in KVERN_API_KEY; without it less is said"},
    Flag{"watch", 0, "", "STATUS", "follow what the server does, until Ctrl-C"},
    Flag{"json", 0, "", "STATUS", "what runs and waits as JSON; with --watch every event as a line of it"},
    Flag{"line", 0, "", "STATUS", "at most 80 columns, always exit status 0, silent when no server answers"},
};
constexpr Command kCommand = {"status", "Says what a running server is doing.", kFlags,
                              "  kvern status\n"
                              "  kvern status --watch\n"
                              "  kvern status --line      for the status line of another program"};

std::string short_name(const std::string& model, std::size_t most) {
  const std::string clean = without_controls(model);
  if (clean.size() <= most) return clean;
  std::size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(clean[end]) & 0xC0U) == 0x80U) --end;  // whole characters only
  return clean.substr(0, end) + "…";
}

// "last prompt 48.2k, 99 % reused"; empty where the server knows none, or wants a key we do not have.
std::string last_prompt(const std::string& address, const std::string& api_key, int timeout_ms) {
  http::ClientRequest request;
  request.address = address;
  request.target = "/admin/cache/why/LAST";
  request.headers = headers_with_key(api_key);
  request.timeout_ms = timeout_ms;
  const auto response = http::fetch(request);
  if (!response || response->status != 200) return {};
  const auto report = parse_json(response->body);
  if (!report || !report->is_object()) return {};
  const auto number = [&](const char* name) {
    const auto value = report->find(name);
    return value != report->end() && value->is_number() ? std::max(value->get<double>(), 0.0) : 0.0;
  };
  const double prompt = number("prompt_tokens");
  if (prompt < 1) return {};
  const double reused = std::min(1 - number("computed_tokens") / prompt, 1.0);
  const std::string length = prompt < 10'000 ? fmt::format("{:.0f}", prompt) : fmt::format("{:.1f}k", prompt / 1'000);
  // Rounded down: "100 %" means that nothing was computed but the last token.
  return fmt::format("last prompt {}, {:.0f} % reused", length, std::floor(std::max(reused, 0.0) * 100));
}

Result<int> print_json(const std::string& address, const std::string& api_key) {
  TRY(const std::string answer, get_body(address, "/kvern/requests?version=1", api_key));
  put(answer + "\n");
  return kOk;
}

// The name gives way first, then what the last prompt was.
std::string line_of(const HealthAnswer& health, const std::string& last) {
  if (health.is_loading) return "kvern loads its model";
  std::string work = health.running == 0 ? std::string("idle") : fmt::format("{} running", health.running);
  if (health.waiting > 0) work += fmt::format(", {} waiting", health.waiting);
  constexpr std::size_t kWithoutNameAndWork = 9;  // "kvern ", " · "
  const std::size_t taken = kWithoutNameAndWork + work.size();
  const std::size_t taken_by_last = last.empty() ? 0 : 3 + last.size();
  if (taken_by_last > 0 && taken + taken_by_last + kModelBytesLeast > kColumns) return line_of(health, "");
  const std::size_t room = kColumns - std::min(taken + taken_by_last, kColumns - kModelBytesLeast);
  return fmt::format("kvern {} · {}{}{}", short_name(health.model, std::min(room, kModelBytes)), work,
                     last.empty() ? "" : " · ", last);
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
  const bool json = flags.contains("json");
  if (flags.contains("line") && (json || flags.contains("watch")))
    return fail(Code::invalid, "it is a line for another program; leave out --watch and --json", "--line");
  if (flags.contains("watch"))
    return watch_status(
        {address, settings.text("api-key"), json ? WatchOptions::Form::json_lines : WatchOptions::Form::for_people});
  if (json) return print_json(address, settings.text("api-key"));
  const auto health = ask_health(address, line ? kLineTimeout_ms : kTimeout_ms);
  const bool known = health && (health->is_kvern || health->is_loading);
  if (known) {
    const std::string last =
        health->is_loading ? "" : last_prompt(address, settings.text("api-key"), line ? kLineTimeout_ms : kTimeout_ms);
    put(line_of(*health, last) + "\n");
  }
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
