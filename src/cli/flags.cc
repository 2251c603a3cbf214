#include "cli/flags.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>

#include "cli/words.h"

namespace kvern::cli {
namespace {

std::string spelled(const Flag& flag) {
  std::string names = fmt::format("--{}", flag.name);
  if (flag.letter != 0) names = fmt::format("-{},{}", flag.letter, names);
  return names;
}

tl::unexpected<Error> unknown_argument(const Command& command, const std::string& argument) {
  if (argument.empty() || argument.front() != '-') {
    return fail(Code::invalid, fmt::format("'{}' is not expected here; kvern {} takes flags only (kvern {} --help)",
                                           argument, command.name, command.name));
  }
  const std::string word = argument.substr(0, argument.find('='));
  std::vector<std::string> spellings;
  for (const Flag& flag : command.flags) spellings.push_back(fmt::format("--{}", flag.name));
  spellings.emplace_back("--help");
  const std::vector<std::string_view> names(spellings.begin(), spellings.end());
  const std::string_view guess = nearest(word, names);
  if (guess.empty()) {
    return fail(Code::invalid, fmt::format("there is no flag {}; kvern {} --help lists them", word, command.name));
  }
  return fail(Code::invalid, fmt::format("there is no flag {}; did you mean {}?", word, guess));
}

}  // namespace

Result<FlagValues> parse_flags(const Command& command, std::span<const std::string> arguments) {
  FlagValues values;
  if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end() ||
      std::find(arguments.begin(), arguments.end(), "-h") != arguments.end()) {
    values["help"] = {"true"};
    return values;
  }
  try {
    CLI::App app;
    app.set_help_flag();
    app.allow_extras();
    for (const Flag& flag : command.flags) {
      const std::string name(flag.name);
      if (flag.value.empty()) {
        app.add_flag_callback(spelled(flag), [&values, name] { values[name] = {"true"}; });
      } else {
        app.add_option_function<std::vector<std::string>>(
               spelled(flag), [&values, name](const std::vector<std::string>& given) { values[name] = given; })
            ->type_size(1)
            ->allow_extra_args(false);
      }
    }
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // CLI11 parses from the back
    app.parse(reversed);
    const std::vector<std::string> rest = app.remaining();
    if (!rest.empty()) {
      const auto flag = std::find_if(rest.begin(), rest.end(), [](const auto& word) { return word.starts_with('-'); });
      return unknown_argument(command, flag == rest.end() ? rest.front() : *flag);
    }
  } catch (const CLI::ParseError& e) {
    return fail(Code::invalid, fmt::format("{} (kvern {} --help)", e.what(), command.name));
  } catch (const std::exception& e) {
    return fail(Code::failed, fmt::format("the command line cannot be read: {}", e.what()));
  }
  return values;
}

std::string help_text(const Command& command) {
  std::string out = fmt::format("Usage: kvern {} [flags]\n\n{}\n", command.name, command.summary);
  std::string_view group;
  for (const Flag& flag : command.flags) {
    if (flag.group != group) {
      group = flag.group;
      out += fmt::format("\n{}\n", group);
    }
    const std::string letter = flag.letter == 0 ? "   " : fmt::format("-{},", flag.letter);
    const std::string name = fmt::format("--{} {}", flag.name, flag.value);
    out += fmt::format("  {} {:<24} {}\n", letter, name, flag.help);
  }
  if (!command.examples.empty()) out += fmt::format("\nEXAMPLES\n{}\n", command.examples);
  return out;
}

}  // namespace kvern::cli
