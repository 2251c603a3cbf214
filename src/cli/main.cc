// kvern: a local LLM server for coding agents. Picks the command; each lives in its own file.
#include <fmt/format.h>

#include <array>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agents/agents.h"
#include "cli/cache_command.h"
#include "cli/chat_command.h"
#include "cli/doctor_command.h"
#include "cli/exit_code.h"
#include "cli/launch_command.h"
#include "cli/serve_command.h"
#include "cli/status_command.h"
#include "cli/terminal.h"
#include "cli/version.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

struct Entry {
  std::string_view name;
  std::string_view summary;
  int (*run)(std::span<const std::string> arguments);
};

constexpr std::array kCommands = {
    Entry{"serve", "serve a model over the APIs of OpenAI and Anthropic", serve_command},
    Entry{"chat", "talk to a model in the terminal", chat_command},
    Entry{"status", "say in a line what a running server is doing", status_command},
    Entry{"cache", "look at what is kept, and why reuse stopped", cache_command},
    Entry{"doctor", "find out what would keep a server from running here", doctor_command},
};

std::string short_help() {
  std::string out = "kvern: a local LLM server for coding agents\n\nUsage: kvern COMMAND [flags]\n\nCOMMANDS\n";
  for (const Entry& entry : kCommands) out += fmt::format("  {:<10} {}\n", entry.name, entry.summary);
  out += "\nAGENTS, started on a server that runs or on one of their own\n";
  for (const agents::Agent& agent : agents::all_agents()) out += fmt::format("  {:<10} {}\n", agent.name, agent.title);
  return out +
         "\nEXAMPLES\n  kvern serve              a server with a small model, fetched once\n"
         "  kvern chat               talk to it\n"
         "  kvern claude             Claude Code on it, nothing of yours changed\n"
         "  kvern serve --help       its flags\n";
}

Error unknown_command(const std::string& word) {
  std::vector<std::string_view> names = {"--help", "--version"};
  for (const Entry& entry : kCommands) names.push_back(entry.name);
  for (const agents::Agent& agent : agents::all_agents()) names.push_back(agent.name);
  const std::string_view guess = nearest(word, names);
  return {Code::invalid,
          guess.empty() ? fmt::format("there is no command '{}'; kvern --help lists them", word)
                        : fmt::format("there is no command '{}'; did you mean '{}'?", word, guess),
          {}};
}

int run(std::span<const std::string> arguments) {
  if (arguments.empty()) {
    say(short_help());
    return kUsage;
  }
  const std::string& word = arguments.front();
  if (word == "--help" || word == "-h" || word == "help") {
    put(short_help());
    return kOk;
  }
  if (word == "--version" || word == "-V") {
    put(fmt::format("kvern {} (llama.cpp {})\n", version(), llama_commit()));
    return kOk;
  }
  for (const Entry& entry : kCommands) {
    if (entry.name == word) return entry.run(arguments.subspan(1));
  }
  if (const agents::Agent* agent = agents::find_agent(word)) return launch_command(*agent, arguments.subspan(1));
  const Error error = unknown_command(word);
  say_error(error);
  return exit_code(error);
}

}  // namespace
}  // namespace kvern::cli

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  try {
    return kvern::cli::run(arguments);
  } catch (const std::exception& e) {
    kvern::cli::say_error({kvern::Code::failed, std::string("unexpected: ") + e.what(), {}});
    return kvern::cli::kFailed;
  }
}
