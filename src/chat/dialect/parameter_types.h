// Which JSON types a tool's schema allows for a parameter: tagged dialects write strings raw and
// everything else as JSON, so the type decides how a value is read. Thread: any.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/json.h"

namespace kvern::chat {

using TypeSet = std::uint8_t;
inline constexpr TypeSet kNull = 1;
inline constexpr TypeSet kBoolean = 2;
inline constexpr TypeSet kNumber = 4;
inline constexpr TypeSet kString = 8;
inline constexpr TypeSet kArray = 16;
inline constexpr TypeSet kObject = 32;
inline constexpr TypeSet kAnyType = 63;

// Of a schema inside `root` (for its $refs). What cannot be told is kAnyType; never empty.
TypeSet types_of(const Json& schema, const Json& root);

// Of the parameter `key` of a tool whose parameters are `root`, looked for through $ref and the
// combining keywords.
TypeSet parameter_types(const Json& root, std::string_view key);

// The type of a complete JSON value; 0 when the text is no JSON.
TypeSet type_of_value(std::string_view text);

// The schema a "#/..." reference names; null when there is none.
const Json* resolve_ref(const Json& root, std::string_view reference);

}  // namespace kvern::chat
