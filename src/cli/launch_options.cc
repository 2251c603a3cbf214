#include "cli/launch_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

#include "cli/flags.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

constexpr std::array kFlags = {
    Flag{"server", 0, "URL", "SERVER", "default: http://127.0.0.1:8080, or one of its own if none is there"},
    Flag{"model", 0, "MODEL", "SERVER", "a file to serve for this run, or the id a running server must have"},
    Flag{"context", 0, "TOKENS", "SERVER", "of a server of its own, such as 64k; of a running one: use no more"},
    Flag{"api-key", 0, "KEY", "SERVER", "the key the server wants; better kept in KVERN_API_KEY"},
    Flag{"dry-run", 0, "", "LOOK", "print what would be done as shell text, start nothing"},
    Flag{"print-env", 0, "", "LOOK", "print the variables as export lines, start nothing"},
    Flag{"json", 0, "", "LOOK", "with either of them: print an object"},
};
constexpr Flag kSimple = {"simple", 0, "", "CLIENT", "short prompts and few tools, for contexts below 32k"};

bool has_simple(const agents::Agent& agent) { return agent.name == "claude" || agent.name == "anyclaude"; }

std::vector<Flag> flags_of(const agents::Agent& agent) {
  std::vector<Flag> flags(kFlags.begin(), kFlags.end());
  if (has_simple(agent)) flags.insert(flags.begin() + 4, kSimple);
  return flags;
}

const Flag* find_flag(std::span<const Flag> flags, std::string_view word) {
  if (!word.starts_with("--")) return nullptr;
  const std::string_view name = word.substr(2, word.find('=') - 2);
  const auto found = std::find_if(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == flags.end() ? nullptr : &*found;
}

void set_switch(LaunchOptions& options, std::string_view name) {
  if (name == "simple") options.simple = true;
  if (name == "json") options.json = true;
  if (name == "dry-run") options.show = LaunchOptions::Show::shell;
  if (name == "print-env") options.show = LaunchOptions::Show::exports;
}

Status set_value(LaunchOptions& options, const Flag& flag, std::string value) {
  const std::string field = fmt::format("--{}", flag.name);
  if (value.empty()) return fail(Code::invalid, fmt::format("{} needs a value: {}", field, flag.value), field);
  if (flag.name == "model")
    options.model = std::move(value);
  else if (flag.name == "server")
    options.server = std::move(value), options.server_origin = field;
  else if (flag.name == "api-key")
    options.api_key = std::move(value);
  else if (flag.name == "context") {
    const auto tokens = parse_size(value);
    if (!tokens || *tokens == 0 || *tokens > std::numeric_limits<std::int32_t>::max())
      return fail(Code::invalid, fmt::format("'{}' is not a number of tokens; write 32768 or 32k", value), field);
    options.context_tokens = static_cast<std::int32_t>(*tokens);
    options.context = std::move(value);
  }
  return {};
}

// Returns how many words the flag took.
Result<std::size_t> take_flag(LaunchOptions& options, const Flag& flag, std::span<const std::string> words) {
  const std::string& word = words.front();
  const std::size_t equals = word.find('=');
  if (flag.value.empty()) {
    if (equals != std::string::npos)
      return fail(Code::invalid, fmt::format("--{} takes no value", flag.name), fmt::format("--{}", flag.name));
    set_switch(options, flag.name);
    return 1;
  }
  if (equals != std::string::npos) {
    TRY_OK(set_value(options, flag, word.substr(equals + 1)));
    return 1;
  }
  TRY_OK(set_value(options, flag, words.size() > 1 ? words[1] : std::string()));
  return 2;
}

// "http://127.0.0.1:8080/v1/" is how many clients want it; we want what stands before.
Status clean_address(LaunchOptions& options) {
  std::string& address = options.server;
  const auto wrong = [&](std::string_view why) {
    return fail(Code::invalid, fmt::format("'{}' {}; write http://127.0.0.1:8080", address, why),
                options.server_origin);
  };
  if (address.starts_with("unix:")) return wrong("is a socket, and agents need a port");
  if (address.starts_with("https://")) return wrong("is not plain http, which kvern serves");
  if (address.find("://") == std::string::npos) address.insert(0, "http://");
  if (!address.starts_with("http://")) return wrong("is no address of a server");
  while (address.ends_with('/')) address.pop_back();
  if (address.ends_with("/v1")) address.resize(address.size() - 3);
  constexpr std::size_t scheme = std::string_view("http://").size();
  if (address.size() <= scheme || address.find_first_of("/?#@\\\"' \t\r\n", scheme) != std::string::npos)
    return wrong("is no address of a server");
  return {};
}

}  // namespace

Result<LaunchOptions> parse_launch_options(const agents::Agent& agent, std::span<const std::string> arguments,
                                           const Environment& environment) {
  LaunchOptions options;
  const std::vector<Flag> flags = flags_of(agent);
  std::size_t i = 0;
  bool exports = false;
  bool shell = false;
  while (i < arguments.size()) {
    const std::string& word = arguments[i];
    if (word == "--help" || word == "-h") {
      options.help = true;
      return options;
    }
    const Flag* flag = find_flag(flags, word);
    if (!flag) break;
    TRY(const std::size_t taken, take_flag(options, *flag, arguments.subspan(i)));
    i += taken;
    exports = exports || flag->name == "print-env";
    shell = shell || flag->name == "dry-run";
  }
  if (i < arguments.size() && arguments[i] == "--") ++i;
  options.arguments.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
  if (exports && shell) return fail(Code::invalid, "give --dry-run or --print-env, not both", "--print-env");
  if (options.json && options.show == LaunchOptions::Show::nothing) {
    return fail(
        Code::invalid,
        fmt::format("kvern's --json goes with --dry-run or --print-env; for the client's own write kvern {} -- --json",
                    agent.name),
        "--json");
  }
  if (options.server.empty()) {
    options.server = environment("KVERN_SERVER").value_or("");
    options.server_origin = "KVERN_SERVER";
  }
  if (options.api_key.empty()) options.api_key = environment("KVERN_API_KEY").value_or("");
  if (!options.server.empty()) TRY_OK(clean_address(options));
  return options;
}

std::string launch_help(const agents::Agent& agent) {
  const std::vector<Flag> flags = flags_of(agent);
  const std::string name(agent.name);
  const std::string summary = fmt::format(
      "Starts {} on a kvern server, with everything it needs for this run and no file of yours changed.\n"
      "A server that runs is used; else one is started and ends with the client.",
      agent.title);
  const std::string examples = fmt::format(
      "  kvern {0}                              on the server that runs, or one of its own\n"
      "  kvern {0} --model coder.gguf           serve this file for as long as it runs\n"
      "  kvern {0} -- --help                    the client's own help\n"
      "  kvern {0} --dry-run                    see what is set, or paste it into a shell\n"
      "\nThe first word that is none of the flags above, and all after it or after --, are the client's.\n"
      "Its exit status is passed on. KVERN_SERVER and KVERN_API_KEY stand in for --server and --api-key;\n"
      "a server of its own reads the other KVERN_* variables of `kvern serve`. See {1}.",
      name, agent.page);
  const Command command = {name, summary, flags, examples};
  std::string text = help_text(command);
  const std::string usage = fmt::format("Usage: kvern {} [flags]", name);
  return text.replace(0, usage.size(), usage + " [--] [arguments of the client]");
}

}  // namespace kvern::cli
