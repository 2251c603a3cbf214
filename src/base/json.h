// JSON documents: nlohmann's ordered_json (key order kept), with limits and errors as values.
//
// Generated tool arguments never pass through it: numbers would be rewritten.
// Include <nlohmann/json.hpp> only in .cc files (3.6 CPU seconds a file); this header is light.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvern {

using Json = nlohmann::ordered_json;

// Parses a whole document. Code::invalid with line and column on a syntax error, invalid UTF-8 or
// nesting deeper than limits::kJsonDepth or an object of more than limits::kJsonObjectKeys keys (both
// checked before parsing, so the stack is safe and the time linear).
Result<Json> parse_json(std::string_view text);

// Compact text; bytes that are not UTF-8 become U+FFFD, so it never throws.
std::string dump_json(const Json& value);

}  // namespace kvern
