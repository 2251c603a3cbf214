// A tool's parameters as tagged dialects write them: named values one after the other, in the order the
// schema declares them.
//
// Where a schema declares some parameters and says nothing of others, only those may be written: models
// are trained on the declared ones. It must say "additionalProperties" itself to have more. One without
// any "properties" takes any; an empty list of them, and "{}", mean that there are none.
// Thread: any.
#pragma once

#include <nlohmann/json.hpp>  // its values are members here; whoever includes this needs it anyway
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace kvern::chat {

struct Parameter {
  std::string name;
  Json schema;
  bool required = false;
};

struct ParameterSet {
  std::vector<Parameter> declared;
  struct Pattern {
    std::string names;  // a pattern of JSON Schema
    Json schema;
  };
  std::vector<Pattern> patterns;
  std::optional<Json> others;  // a schema for every other name; unset: there are no others
};

// Every way to fill in the parameters: one, or one a choice of anyOf and oneOf. What is behind $ref and
// allOf is part of each.
struct ParameterSets {
  std::vector<ParameterSet> ways;    // never empty
  std::vector<std::string> relaxed;  // keywords that are not enforced
};
ParameterSets parameter_sets(const Json& root);

// The schema as a document of its own, with everything of root that it refers to. nullopt when a
// reference leads nowhere.
std::optional<Json> standalone(const Json& schema, const Json& root);

// Whether the schema allows every value.
bool allows_all(const Json& schema);

}  // namespace kvern::chat
