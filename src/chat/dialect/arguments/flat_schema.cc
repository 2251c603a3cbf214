#include "chat/dialect/arguments/flat_schema.h"

#include <algorithm>
#include <utility>

#include "chat/dialect/parameter_types.h"

namespace kvern::chat {
namespace {

// References followed one after another, and schemas merged into one: they may be circular.
constexpr int kFollowed = 32;

constexpr std::string_view kNotes[] = {"title",    "description", "default",  "examples",   "example",
                                       "$comment", "$schema",     "$id",      "deprecated", "readOnly",
                                       "$defs",    "definitions", "writeOnly"};

bool is_note(std::string_view key) {
  return std::find(std::begin(kNotes), std::end(kNotes), key) != std::end(kNotes) || key.starts_with("x-");
}

Json type_list(const Json& type) { return type.is_array() ? type : Json::array({type}); }

bool contains(const Json& list, const Json& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

// Members of both, in the first's order; "integer" is part of "number".
Json common(const Json& first, const Json& second) {
  Json out = Json::array();
  for (const Json& one : type_list(first)) {
    if (contains(type_list(second), one) || (one == "integer" && contains(type_list(second), "number"))) {
      out.push_back(one);
    } else if (one == "number" && contains(type_list(second), "integer")) {
      out.push_back("integer");
    }
  }
  return out;
}

bool is_greatest(std::string_view key) {
  return key == "minimum" || key == "exclusiveMinimum" || key == "minLength" || key == "minItems";
}

bool is_least(std::string_view key) {
  return key == "maximum" || key == "exclusiveMaximum" || key == "maxLength" || key == "maxItems";
}

// One keyword of two schemas; false when it cannot be said in one.
bool merge_keyword(const std::string& key, Json& into, const Json& other) {
  if (into == other || is_note(key)) return true;
  if (key == "type" || key == "enum") {
    const Json both = key == "type" ? common(into, other) : [&] {
      Json out = Json::array();
      for (const Json& value : into)
        if (other.is_array() && contains(other, value)) out.push_back(value);
      return out;
    }();
    if (both.empty()) return false;
    into = both;
    return true;
  }
  if (key == "required" && into.is_array() && other.is_array()) {
    for (const Json& name : other)
      if (!contains(into, name)) into.push_back(name);
    return true;
  }
  if (key == "properties" && into.is_object() && other.is_object()) {
    for (const auto& [name, schema] : other.items())
      into[name] =
          into.contains(name) && into[name] != schema ? Json{{"allOf", Json::array({into[name], schema})}} : schema;
    return true;
  }
  if (into.is_number() && other.is_number() && (is_greatest(key) || is_least(key))) {
    if (is_greatest(key) ? into < other : other < into) into = other;
    return true;
  }
  return false;
}

}  // namespace

const Json& member_of(const Json& object, std::string_view key) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(std::string(key));
  return found == object.end() ? kNothing : *found;
}

bool is_only_reference(const Json& schema) {
  if (!member_of(schema, "$ref").is_string()) return false;
  return std::all_of(schema.items().begin(), schema.items().end(),
                     [](const auto& item) { return item.key() == "$ref" || is_note(item.key()); });
}

FlatSchemas::FlatSchemas(const Json& root, std::function<void(const std::string&)> relax)
    : root_(root), relax_(std::move(relax)) {}

const Json* FlatSchemas::target(const Json& schema) const {
  const Json* found = &schema;
  for (int i = 0; i < kFollowed; ++i) {
    found = resolve_ref(root_, member_of(*found, "$ref").get_ref<const std::string&>());
    if (found == nullptr || !is_only_reference(*found)) return found;
  }
  return nullptr;
}

const Json& FlatSchemas::flat(const Json& schema, const std::string& path) {
  if (!schema.is_object() || (!schema.contains("$ref") && !schema.contains("allOf"))) return schema;
  return made_.emplace_back(flattened(schema, path, 0));
}

const Json& FlatSchemas::merged(const Json& first, const Json& second, const std::string& path) {
  return made_.emplace_back(merge(flattened(first, path, 0), flattened(second, path, 0), path));
}

Json FlatSchemas::flattened(const Json& schema, const std::string& path, int depth) {
  if (!schema.is_object()) return schema;
  if (depth > kFollowed) {
    relax_(path + ": $ref without end");
    return Json::object();
  }
  Json out = schema;
  if (member_of(schema, "$ref").is_string()) {
    out.erase("$ref");
    const Json* named = target(schema);
    if (named == nullptr) relax_(path + ": $ref");
    if (named != nullptr) out = merge(std::move(out), flattened(*named, path, depth + 1), path);
  }
  const Json parts = member_of(out, "allOf");
  if (!parts.is_array()) return out;
  out.erase("allOf");
  for (const Json& part : parts) out = merge(std::move(out), flattened(part, path, depth + 1), path);
  return out;
}

Json FlatSchemas::merge(Json first, const Json& second, const std::string& path) {
  if (!second.is_object()) return second == Json(false) ? second : first;
  if (!first.is_object()) return first == Json(false) ? first : second;
  for (const auto& [key, value] : second.items()) {
    if (!first.contains(key)) {
      first[key] = value;
    } else if (key == "allOf" && first[key].is_array() && value.is_array()) {
      for (const Json& part : value) first[key].push_back(part);
    } else if (!merge_keyword(key, first[key], value)) {
      relax_(path + ": " + key + " of two schemas");
    }
  }
  return first;
}

}  // namespace kvern::chat
