// A command's flags as a table: parsing, help and "did you mean" all come from it.
//
// The only file behind it that includes CLI11 is flags.cc. Thread: main.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvern::cli {

struct Flag {
  std::string_view name;   // "cache-ram": --cache-ram, KVERN_CACHE_RAM, cache-ram in the config file
  char letter = 0;         // 'p': -p as well
  std::string_view value;  // what help calls its value; empty for a switch
  std::string_view group;  // the heading it stands under in help
  std::string_view help;
  bool repeatable = false;
};

struct Command {
  std::string_view name;
  std::string_view summary;
  std::span<const Flag> flags;
  std::string_view examples;  // lines, indented
};

// The values given to each flag, in order; a switch has the value "true".
using FlagValues = std::map<std::string, std::vector<std::string>, std::less<>>;

// --help is not an error: the result then holds the key "help" and perhaps nothing else.
// Code::invalid for an unknown flag (with the nearest name), a missing value, a stray word.
Result<FlagValues> parse_flags(const Command& command, std::span<const std::string> arguments);

std::string help_text(const Command& command);

}  // namespace kvern::cli
