// `kvern cache`: looks at what is kept on disk, changes it, and asks a server why reuse stopped.
// Thread: main.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/flags.h"

namespace kvern::cli {

// Exit status 1 when verify finds damage, else as exit_code.h says.
int cache_command(std::span<const std::string> arguments);

// A command line with words beside its flags, taken apart: "pin ab12 --json" -> {pin, ab12} and
// {--json}. The value of a flag is no word; after "--" everything is.
struct SplitLine {
  std::vector<std::string> words;
  std::vector<std::string> flags;
};
SplitLine split_line(std::span<const Flag> flags, std::span<const std::string> arguments);

}  // namespace kvern::cli
