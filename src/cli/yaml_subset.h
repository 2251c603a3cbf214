// The YAML that configuration files of model servers are written in, and no more: block maps and lists,
// flow lists of scalars, plain and quoted scalars, comments.
//
// Whatever else YAML has (anchors, tags, block scalars, flow maps, several documents) is refused with its
// line, never guessed at. A library would bring all of it, for one file of another server.
//
// Thread: any; pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvern::cli {

struct YamlEntry {
  std::string path;      // "model_configs[0].model_name"
  std::string value;     // the scalar's text, quotes removed
  bool is_null = false;  // null, ~, nothing, {} or []
  int line = 0;
};

// The scalars in the order of the file. Code::invalid with `name:line` as the field.
Result<std::vector<YamlEntry>> read_yaml(std::string_view text, const std::string& name);

}  // namespace kvern::cli
