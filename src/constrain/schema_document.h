// A client's JSON Schema as a document: read under limits, and walked by its schema positions.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace kvern::constrain {

// Reads a schema that neither Rust library can choke on: bounded size, nesting, length of `$ref`
// chains, and number of subschemas that apply to one value. Code::invalid or Code::too_large.
// An unknown `$schema` is dropped: what it describes cannot be known, and both libraries would
// refuse everything because of it. A `$ref` to another document is dropped likewise, and its place and
// target are appended to dropped when that is given. Recurses: call it on a deep stack.
Result<Json> read_schema(std::string_view text, std::vector<std::string>* dropped = nullptr);

// A key as it stands in a JSON Pointer.
std::string pointer_key(std::string_view key);

// What "#/..." points to; null where that is nothing, and for other kinds of references.
const Json* find_reference(const Json& root, const std::string& reference);

// Calls visit with each object that is a schema and its JSON Pointer, parents first; the root's
// pointer is "". Does not descend into what is data (const, enum, default, examples). visit may
// change the keywords of the schema it is given.
void visit_schemas(Json& root, const std::function<void(const std::string& path, Json& schema)>& visit);

}  // namespace kvern::constrain
