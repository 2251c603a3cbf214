#include "constrain/schema_logic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "constrain/rule_cursor.h"

namespace kvern::constrain {
namespace {

constexpr std::size_t kValues = 24;      // of a const or enum that is negated
constexpr std::size_t kValueBytes = 64;  // of such a string
constexpr std::size_t kBranches = 8;
constexpr int kDepth = 8;

constexpr std::array<std::string_view, 14> kAnnotations = {
    "$defs",   "definitions", "title",    "description", "$comment", "default",          "examples",
    "$schema", "deprecated",  "readOnly", "writeOnly",   "$id",      "contentMediaType", "contentEncoding"};

Json any_of(std::vector<Json> options) {
  if (options.empty()) return false;
  if (options.size() == 1) return std::move(options.front());
  return Json{{"anyOf", std::move(options)}};
}

const Json* find(const Json& schema, const char* keyword) {
  if (!schema.is_object()) return nullptr;
  const auto it = schema.find(keyword);
  return it == schema.end() ? nullptr : &*it;
}

// const and enum alike; empty: the schema has neither.
std::vector<Json> values_of(const Json& schema) {
  if (const Json* value = find(schema, "const")) return {*value};
  const Json* list = find(schema, "enum");
  if (!list || !list->is_array()) return {};
  return {list->begin(), list->end()};
}

bool contains(const std::vector<Json>& values, const Json& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string type_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "boolean";
  if (value.is_string()) return "string";
  if (value.is_array()) return "array";
  return value.is_object() ? "object" : "number";
}

// Every text but these: at each character either the texts part, or they go on together.
std::string other_texts(const std::vector<std::u32string>& texts, std::size_t at) {
  std::u32string next;
  bool ends = false;
  for (const std::u32string& text : texts) {
    if (text.size() == at) ends = true;
    if (text.size() > at && next.find(text[at]) == std::u32string::npos) next += text[at];
  }
  std::string options = ends ? "" : "|";
  std::string excluded;
  for (const char32_t c : next) {
    std::vector<std::u32string> with;
    for (const std::u32string& text : texts)
      if (text.size() > at && text[at] == c) with.push_back(text);
    options += (options.empty() || options == "|" ? "" : "|") + regex_character(c) + other_texts(with, at + 1);
    excluded += regex_character(c);
  }
  if (options.size() > 1) options += '|';
  options += excluded.empty() ? "(?s:.)(?s:.*)" : "[^" + excluded + "](?s:.*)";
  return "(?:" + options + ")";
}

std::optional<Json> other_strings(const std::vector<Json>& values) {
  std::vector<std::u32string> texts;
  for (const Json& value : values) {
    if (!value.is_string()) continue;
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > kValueBytes) return std::nullopt;
    std::u32string characters;
    for (RuleCursor cursor(text); !cursor.at_end();) characters += *cursor.character();
    texts.push_back(std::move(characters));
  }
  if (texts.empty()) return Json{{"type", "string"}};
  return Json{{"type", "string"}, {"pattern", "^" + other_texts(texts, 0) + "$"}};
}

// The gaps between the values, from below the least to above the greatest.
std::optional<Json> other_numbers(const std::vector<Json>& values, const std::string& type) {
  std::vector<double> numbers;
  for (const Json& value : values)
    if (value.is_number()) numbers.push_back(value.get<double>());
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::vector<Json> gaps;
  for (std::size_t i = 0; i <= numbers.size(); ++i) {
    Json gap = {{"type", type}};
    if (i > 0) gap["exclusiveMinimum"] = numbers[i - 1];
    if (i < numbers.size()) gap["exclusiveMaximum"] = numbers[i];
    const bool inner = i > 0 && i < numbers.size();
    const bool empty = inner && type == "integer" && std::floor(numbers[i - 1]) + 1 >= numbers[i];
    if (!empty) gaps.push_back(std::move(gap));
  }
  for (const double number : numbers)
    if (std::abs(number) > 1e15) return std::nullopt;
  return any_of(std::move(gaps));
}

std::optional<Json> other_values_of_type(const std::vector<Json>& values, const std::string& type) {
  if (type == "string") return other_strings(values);
  if (type == "integer" || type == "number") return other_numbers(values, type);
  if (type == "null") return contains(values, nullptr) ? Json(false) : Json{{"type", "null"}};
  if (type == "boolean") {
    std::vector<Json> left;
    for (const bool value : {true, false})
      if (!contains(values, value)) left.push_back(Json{{"const", value}});
    return any_of(std::move(left));
  }
  for (const Json& value : values)
    if (type_of(value) == type) return std::nullopt;
  return Json{{"type", type}};
}

std::optional<Json> other_values(const std::vector<Json>& values, const Json& base) {
  if (values.size() > kValues) return std::nullopt;
  if (const std::vector<Json> all = values_of(base); !all.empty()) {
    Json left = Json::array();
    for (const Json& value : all)
      if (!contains(values, value)) left.push_back(value);
    if (left.empty()) return false;
    return Json{{"enum", std::move(left)}};
  }
  std::vector<Json> options;
  for (const std::string& type : types_of(base)) {
    auto option = other_values_of_type(values, type);
    if (!option) return std::nullopt;
    if (*option != Json(false)) options.push_back(*std::move(option));
  }
  return any_of(std::move(options));
}

std::optional<Json> other_types(const Json& schema, const Json& base) {
  const std::vector<std::string> excluded = types_of(schema);
  Json left = Json::array();
  for (const std::string& type : types_of(base)) {
    if (contains(excluded, type) || (type == "integer" && contains(excluded, "number"))) continue;
    if (type == "number" && contains(excluded, "integer")) return std::nullopt;
    left.push_back(type);
  }
  if (left.empty()) return false;
  return Json{{"type", std::move(left)}};
}

std::optional<Json> lacking_one_of(const Json& names) {
  std::vector<Json> options;
  if (!names.is_array() || names.size() > kBranches) return std::nullopt;
  for (const Json& name : names) {
    if (!name.is_string()) return std::nullopt;
    options.push_back(Json{{"type", "object"}, {"properties", {{name.get<std::string>(), false}}}});
  }
  return any_of(std::move(options));
}

std::optional<Json> one_property_differs(const Json& properties, const Json& base) {
  if (!properties.is_object() || properties.size() > kBranches) return std::nullopt;
  const Json* declared = find(base, "properties");
  std::vector<Json> options;
  for (const auto& item : properties.items()) {
    const Json* property = declared ? find(*declared, item.key().c_str()) : nullptr;
    auto other = negation(item.value(), property ? *property : Json::object());
    if (!other) return std::nullopt;
    options.push_back(
        Json{{"type", "object"}, {"required", {item.key()}}, {"properties", {{item.key(), *std::move(other)}}}});
  }
  return any_of(std::move(options));
}

std::optional<Json> negated_list(const Json& list, const Json& base, const char* joined_by) {
  if (!list.is_array() || list.empty() || list.size() > kBranches) return std::nullopt;
  Json parts = Json::array();
  for (const Json& schema : list) {
    auto part = negation(schema, base);
    if (!part) return std::nullopt;
    parts.push_back(*std::move(part));
  }
  return Json{{joined_by, std::move(parts)}};
}

std::optional<Json> negated_keyword(const std::string& keyword, const Json& value, const Json& base) {
  if (keyword == "type") return other_types(Json{{"type", value}}, base);
  if (keyword == "const") return other_values({value}, base);
  if (keyword == "enum" && value.is_array()) return other_values({value.begin(), value.end()}, base);
  if (keyword == "required") return lacking_one_of(value);
  if (keyword == "properties") return one_property_differs(value, base);
  if (keyword == "anyOf") return negated_list(value, base, "allOf");
  if (keyword == "allOf") return negated_list(value, base, "anyOf");
  if (keyword == "not") return value;
  return std::nullopt;
}

const Json& resolved(const Json& schema, const Json& root) {
  const Json* reference = find(schema, "$ref");
  if (!reference || !reference->is_string()) return schema;
  const auto& text = reference->get_ref<const std::string&>();
  if (!text.starts_with("#/")) return schema;
  try {
    const Json::json_pointer pointer(text.substr(1));
    return root.contains(pointer) ? root.at(pointer) : schema;
  } catch (const std::exception&) {
    return schema;
  }
}

bool only_objects(const Json& schema) { return types_of(schema) == std::vector<std::string>{"object"}; }

bool forbids_property(const Json& schema, const std::string& name) {
  const Json* properties = find(schema, "properties");
  if (const Json* property = properties ? find(*properties, name.c_str()) : nullptr) return *property == Json(false);
  const Json* additional = find(schema, "additionalProperties");
  return additional && *additional == Json(false) && !find(schema, "patternProperties");
}

// False when it has not the steps to tell.
bool no_common_value(const std::vector<Json>& a, const std::vector<Json>& b, std::size_t& steps) {
  const std::size_t cost = a.size() * b.size();
  if (cost == 0 || cost > steps) return false;
  steps -= cost;
  return std::none_of(a.begin(), a.end(), [&b](const Json& value) { return contains(b, value); });
}

bool no_common_type(const Json& a, const Json& b) {
  const std::vector<std::string> others = types_of(b);
  for (const std::string& type : types_of(a)) {
    if (contains(others, type)) return false;
    if ((type == "integer" && contains(others, "number")) || (type == "number" && contains(others, "integer")))
      return false;
  }
  return true;
}

bool disjoint(const Json& first, const Json& second, const Json& base, const Json& root, std::size_t& steps,
              int depth) {
  if (steps == 0) return false;
  --steps;
  const Json& a = resolved(first, root);
  const Json& b = resolved(second, root);
  if (depth > kDepth || !a.is_object() || !b.is_object()) return a == Json(false) || b == Json(false);
  if (no_common_type(a, b) || no_common_value(values_of(a), values_of(b), steps)) return true;
  if (!only_objects(a) && !only_objects(b) && !only_objects(base)) return false;
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    const Json* required = find(*one, "required");
    const Json* properties = find(*one, "properties");
    const Json* other_properties = find(*other, "properties");
    if (!required || !required->is_array()) continue;
    for (const Json& name : *required) {
      if (!name.is_string()) continue;
      const auto& key = name.get_ref<const std::string&>();
      if (forbids_property(*other, key)) return true;
      const Json* property = properties ? find(*properties, key.c_str()) : nullptr;
      const Json* other_property = other_properties ? find(*other_properties, key.c_str()) : nullptr;
      if (property && other_property && disjoint(*property, *other_property, Json::object(), root, steps, depth + 1))
        return true;
    }
  }
  return false;
}

}  // namespace

bool is_annotation(std::string_view keyword) {
  return std::find(kAnnotations.begin(), kAnnotations.end(), keyword) != kAnnotations.end();
}

std::vector<std::string> types_of(const Json& schema) {
  const Json* type = find(schema, "type");
  if (!type) return {"null", "boolean", "number", "string", "array", "object"};
  if (type->is_string()) return {type->get<std::string>()};
  std::vector<std::string> types;
  if (type->is_array())
    for (const Json& name : *type)
      if (name.is_string()) types.push_back(name.get<std::string>());
  return types;
}

// Not (a and b) is (not a) or (not b).
std::optional<Json> negation(const Json& schema, const Json& base) {
  if (schema.is_boolean()) return Json(!schema.get<bool>());
  if (!schema.is_object()) return std::nullopt;
  std::vector<Json> options;
  for (const auto& item : schema.items()) {
    if (is_annotation(item.key())) continue;
    auto option = negated_keyword(item.key(), item.value(), base);
    if (!option) return std::nullopt;
    if (*option != Json(false)) options.push_back(*std::move(option));
  }
  return any_of(std::move(options));
}

bool are_disjoint(const Json& a, const Json& b, const Json& base, const Json& root, std::size_t& steps) {
  return disjoint(a, b, base, root, steps, 0);
}

}  // namespace kvern::constrain
