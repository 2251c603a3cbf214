// Small logic over schemas: what a schema's opposite is, and whether two can hold at once.
//
// Both answer only where they are certain. Thread: any.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace kvern::constrain {

// Keywords that say nothing about a value.
bool is_annotation(std::string_view keyword);

// The values of "type", or all there are; nothing where a schema has none or a malformed one.
std::vector<std::string> types_of(const Json& schema);

// A schema that takes, of the values `base` takes, those that `schema` does not.
std::optional<Json> negation(const Json& schema, const Json& base);

// No value `base` takes can match both. Follows `#/...` references in root. steps: what comparisons may
// still cost; without any left the answer is false.
bool are_disjoint(const Json& a, const Json& b, const Json& base, const Json& root, std::size_t& steps);

}  // namespace kvern::constrain
