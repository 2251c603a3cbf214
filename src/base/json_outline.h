// Where the members of a JSON object are in its text, found in one pass that reads none of them.
//
// It follows brackets and strings and judges nothing else. The outline of malformed text means nothing: whoever
// takes a part out parses the part and what is left, and both must be JSON. Thread: any; pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvern {

struct JsonMember {
  std::string_view name;                     // between its quotes, as written
  std::string_view value;                    // without the space around it
  std::vector<std::string_view> items = {};  // of a list that looks like one of objects, likewise
};

// The members of the object that the text is. None: it is no object, or parse_json() would refuse its depth or
// its keys. Lists longer than items_max have no items.
std::optional<std::vector<JsonMember>> outline_of(std::string_view text, std::size_t items_max);

// What would make parsing unsafe or slow: nesting (the parser recurses) and keys of one object (an
// ordered object looks each new key up among the old ones). Wrong on malformed text only.
Status check_json_shape(std::string_view text);

}  // namespace kvern
