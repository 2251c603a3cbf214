// MLX-Textgen's model_config.yaml, read as settings of ours. Thread: main.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/settings.h"

namespace kvern::cli {

struct TextgenConfig {
  std::map<std::string, Setting> settings;  // by our flags' names; origins are "model_config.yaml:4"
  std::vector<std::string> notes;           // what needs nothing here, and why
};

// Code::invalid, with file and line, for an unknown key, more than one model, or what cannot be honoured;
// with `flag` as the field when the file cannot be read.
Result<TextgenConfig> read_textgen_config(const std::string& path, const std::string& flag);

// The same for text; path is only for messages.
Result<TextgenConfig> parse_textgen_config(const std::string& text, const std::string& path);

}  // namespace kvern::cli
