// JSON as text: where a value ends, what its members are, how it is spaced. Nothing here builds a
// document of a value, so numbers and escapes stay as they were written. Thread: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "base/result.h"

namespace kvern::chat {

inline constexpr std::string_view kJsonSpace = " \t\r\n";

struct JsonMember {
  std::string key;         // unescaped
  std::string_view value;  // into the text
};

// The members of a JSON object in their order; nullopt when the text is no JSON object.
std::optional<std::vector<JsonMember>> split_object(std::string_view text);

// Valid JSON with other separators and no other whitespace.
std::string respaced(std::string_view json, std::string_view item_separator, std::string_view key_separator);

std::string_view trimmed(std::string_view text);  // without kJsonSpace at its ends

}  // namespace kvern::chat
