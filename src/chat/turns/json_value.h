// JSON as a value to compare: key order, spacing, escapes and the spelling of numbers are gone, and
// nothing else. Numbers are exact decimals of any size, never doubles. Thread: any; plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvern::chat {

struct JsonValue {
  enum class Kind { null, boolean, number, string, array, object };

  Kind kind = Kind::null;
  std::string text;               // string: its characters; number: canonical; boolean: "true" or "false"
  std::vector<std::string> keys;  // object: ascending
  std::vector<JsonValue> items;   // an array's elements; an object's values, by key

  bool operator==(const JsonValue&) const = default;
};

// nullopt: no JSON, nested deeper than limits::kJsonDepth, an object with the same key twice (it has
// no one meaning), or a number no double can hold.
std::optional<JsonValue> read_json_value(std::string_view text);

// One spelling for equal numbers: 1, 1.0 and 10e-1 are "1e0", 0 and -0 are "0". nullopt when text is
// no JSON number.
std::optional<std::string> canonical_number(std::string_view text);

// One text for equal values.
std::string canonical_json(const JsonValue& value);

}  // namespace kvern::chat
