#include "cli/launch_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "agents/parts.h"
#include "agents/shell_text.h"
#include "cli/child_process.h"
#include "cli/exit_code.h"
#include "cli/foreground.h"
#include "cli/launch_options.h"
#include "cli/launch_server.h"
#include "cli/settings.h"
#include "cli/temp_folder.h"
#include "cli/terminal.h"

namespace kvern::cli {
namespace {

using agents::Agent;
using agents::LaunchPlan;
using agents::LaunchRequest;
using Show = LaunchOptions::Show;

constexpr std::size_t kSettingsBytes = 4 * 1024 * 1024;  // of a file of the user's that is looked at

std::optional<std::string> read_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return std::nullopt;  // a pipe would keep us waiting
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text(kSettingsBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return std::nullopt;
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

LaunchRequest make_request(const LaunchOptions& options, const LaunchServer& server, std::string folder) {
  LaunchRequest request;
  request.address = server.address;
  request.model = server.model;
  request.context = server.context;
  request.api_key = options.api_key;
  request.folder = std::move(folder);
  request.kvern = own_executable().value_or("kvern");
  request.simple = options.simple;
  request.arguments = options.arguments;
  request.environment = process_environment();
  request.file = read_file;
  return request;
}

bool is_changed(const LaunchPlan& plan, std::string_view name) {
  return std::find(plan.unset.begin(), plan.unset.end(), name) != plan.unset.end() ||
         std::any_of(plan.set.begin(), plan.set.end(), [&](const auto& variable) { return variable.name == name; });
}

std::vector<std::string> environment_of(const LaunchPlan& plan) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view word(*entry);
    if (!is_changed(plan, word.substr(0, word.find('=')))) out.emplace_back(word);
  }
  for (const agents::Variable& variable : plan.set) out.push_back(variable.name + "=" + variable.value);
  return out;
}

void tell(const Agent& agent, const LaunchServer& server, const LaunchPlan& plan, std::size_t given) {
  const auto line = [](std::string_view text) {
    const bool warning = text.starts_with("warning:");
    say(styled(without_controls(fmt::format("kvern: {}", text)), warning ? Style::yellow : Style::dim, STDERR_FILENO));
  };
  std::string set;
  const auto add = [&](std::size_t count, std::string_view what) {
    if (count > 0) set += fmt::format("{}{} {}{}", set.empty() ? "" : ", ", count, what, count == 1 ? "" : "s");
  };
  add(plan.set.size(), "variable");
  add(plan.arguments.size() - given, "argument");
  add(plan.files.size(), "temporary file");
  line(fmt::format("{} on {} at {}, context {} tokens; for this run only: {} (kvern {} --dry-run shows them)",
                   agent.title, server.model, server.address, server.context, set, agent.name));
  for (const std::string& remark : server.remarks) line(remark);
  for (const std::string& remark : plan.remarks) line(remark);
}

// A name nobody has: the text makes the folder itself, and stops when it is there already.
std::string folder_to_be(const Agent& agent) {
  std::string path = fmt::format("{}/kvern-{}-XXXXXX", temp_root(), agent.name);
  if (::mkdtemp(path.data()) != nullptr) ::rmdir(path.c_str());
  return path;
}

int show(const Agent& agent, const LaunchOptions& options, const LaunchServer& server) {
  LaunchRequest request = make_request(options, server, folder_to_be(agent));
  if (!request.api_key.empty()) request.api_key = agents::kKeyPlaceholder;
  LaunchPlan plan = agent.plan(request);
  plan.remarks.insert(plan.remarks.begin(), server.remarks.begin(), server.remarks.end());
  if (options.json) {
    put(agents::as_json(agent, request, plan));
    return kOk;
  }
  if (!request.api_key.empty()) plan.remarks.emplace_back("the key is read from KVERN_API_KEY; it is not printed");
  if (options.show == Show::shell) {
    put(agents::as_shell(agent, request, plan));
  } else {
    put(agents::as_exports(request, plan));
    if (!plan.files.empty())
      plan.remarks.push_back(
          fmt::format("warning: variables alone are not all: {} needs files or flags, too; see kvern {} "
                      "--dry-run",
                      agent.title, agent.name));
  }
  for (const std::string& remark : plan.remarks) say(fmt::format("kvern: {}", without_controls(remark)));
  return kOk;
}

Result<int> start(const Agent& agent, const LaunchOptions& options, const std::string& program) {
  hold_signals();
  TRY(const LaunchServer server, find_launch_server(options, held_signals()));
  TRY(const TempFolder folder, TempFolder::make(fmt::format("kvern-{}", agent.name)));
  const LaunchPlan plan = agent.plan(make_request(options, server, folder.path()));
  for (const agents::PlannedFile& file : plan.files) TRY_OK(folder.write(file.name, file.content));
  tell(agent, server, plan, options.arguments.size());
  if (last_signal() != 0) return fail(Code::cancelled, "stopped before the client was started");
  std::vector<std::string> argv = {program};
  argv.insert(argv.end(), plan.arguments.begin(), plan.arguments.end());
  return run_in_foreground(argv, environment_of(plan));
}

Result<int> launch(const Agent& agent, std::span<const std::string> arguments) {
  const Environment environment = process_environment();
  TRY(const LaunchOptions options, parse_launch_options(agent, arguments, environment));
  if (options.help) {
    put(launch_help(agent));
    return kOk;
  }
  if (options.show != Show::nothing) {
    static const volatile int never = 0;
    TRY(const LaunchServer server, find_launch_server(options, never));
    return show(agent, options, server);
  }
  const std::string program = find_program(std::string(agent.program), environment("PATH").value_or(""));
  if (program.empty()) {
    return fail(Code::not_found,
                fmt::format("{} is not in PATH as '{}'. To install it: {}", agent.title, agent.program, agent.install));
  }
  return start(agent, options, program);
}

}  // namespace

int launch_command(const Agent& agent, std::span<const std::string> arguments) {
  const Result<int> status = launch(agent, arguments);
  if (status) return *status;
  if (status.error().code == Code::cancelled && last_signal() != 0) return 128 + last_signal();
  say_error(status.error());
  return exit_code(status.error());
}

}  // namespace kvern::cli
