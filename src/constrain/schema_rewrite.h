// Says in words llguidance knows what a schema says in words it does not know.
//
// Each rewriting is exact: the new schema takes the same values. What is too large or too general to be
// rewritten is left as it is. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace kvern::constrain {

// not, if/then/else and oneOf over required, const, enum and type; dependentRequired, dependentSchemas and
// dependencies; minProperties 1; propertyNames; unevaluatedProperties without composition; uniqueItems of
// few values; and the formats of string_formats.h. Formats nobody knows are dropped and named in relaxed.
void rewrite_schema(Json& root, std::vector<std::string>& relaxed);

}  // namespace kvern::constrain
