// The config file: TOML, one key a flag, no tables.
//
//   model = "/models/qwen.gguf"
//   context = "64k"
//   api-key = ["one", "two"]
//
// Thread: main.
#pragma once

#include <map>
#include <span>
#include <string>

#include "base/result.h"
#include "cli/flags.h"
#include "cli/settings.h"

namespace kvern::cli {

// Keys may be written with dashes or underscores. Code::invalid, naming file and line, for TOML
// that is none, an unknown key (with the nearest one), a table, or a list where one value belongs.
// Code::invalid as well when the file cannot be read; origin is what named it.
Result<std::map<std::string, Setting>> read_config(const std::string& path, const std::string& origin,
                                                   std::span<const Flag> flags);

// The same for text; path is only for messages.
Result<std::map<std::string, Setting>> parse_config(const std::string& text, const std::string& path,
                                                    std::span<const Flag> flags);

// The whole file. called: how messages name it; origin: what named it.
Result<std::string> config_text(const std::string& called, const std::string& path, const std::string& origin);

}  // namespace kvern::cli
