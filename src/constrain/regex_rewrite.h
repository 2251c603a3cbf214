// Regular expressions of clients, rewritten by the Rust library (crate regex-syntax).
//
// Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvern::constrain {

enum class RegexSyntax {
  rust,  // whole text
  ecma   // ECMA-262, found anywhere in the text unless anchored
};
enum class RegexText {
  raw,
  json_string,  // the inside of a JSON string
  blank         // raw, and refused when it matches more than JSON's white space
};

// A regular expression without anchors and flags that matches whole texts, safe between Lark's slashes; may
// be empty. Code::invalid with the reason: look-around, back references, anchors in its middle, too large.
Result<std::string> rewritten_regex(std::string_view pattern, RegexSyntax syntax, RegexText text);

// It as a Lark expression.
std::string lark_regex(std::string_view rewritten);

}  // namespace kvern::constrain
