// The formats of JSON Schema that are regular, as regular expressions.
//
// Exact where the standards are: no 30 February, 29 February in leap years only, a leap second only at
// 23:59 UTC. Thread: any.
#pragma once

#include <string_view>

namespace kvern::constrain {

struct FormatRegexes {
  std::string_view form;
  std::string_view length;  // to be matched too; may be empty
};

// They match whole texts, without anchors. Both empty when the format is not known.
FormatRegexes format_regexes(std::string_view format);

}  // namespace kvern::constrain
