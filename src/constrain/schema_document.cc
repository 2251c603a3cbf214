#include "constrain/schema_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/utf8.h"

namespace kvern::constrain {
namespace {

constexpr std::size_t kNesting = 120;            // serde_json stops at 128, and the grammar adds a few
constexpr std::size_t kLevels = 6'000;           // of recursion through `$ref`s, at up to 17 kB of stack each
constexpr std::uint64_t kAlternatives = 50'000;  // subschemas that apply to one value, `$ref`s followed

constexpr std::array<std::string_view, 6> kMapsOfSchemas = {"properties",  "patternProperties", "$defs",
                                                            "definitions", "dependentSchemas",  "dependencies"};
constexpr std::array<std::string_view, 12> kSchemas = {"items",
                                                       "additionalItems",
                                                       "additionalProperties",
                                                       "unevaluatedItems",
                                                       "unevaluatedProperties",
                                                       "contains",
                                                       "not",
                                                       "propertyNames",
                                                       "contentSchema",
                                                       "if",
                                                       "then",
                                                       "else"};
constexpr std::array<std::string_view, 5> kListsOfSchemas = {"prefixItems", "allOf", "anyOf", "oneOf", "items"};

// Keywords whose subschemas apply to the same value as the schema they stand in.
constexpr std::array<std::string_view, 9> kInPlace = {
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"};
constexpr std::array<std::string_view, 3> kReferences = {"$ref", "$dynamicRef", "$recursiveRef"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The whole document for every reference that cannot be followed, which bounds it.
const Json& target_of(const Json& root, const std::string& reference) {
  const Json* found = find_reference(root, reference);
  return found ? *found : root;
}

// How costly it is to follow a schema's references.
class Complexity {
 public:
  explicit Complexity(const Json& root) : root_(root) { scan(root_); }

  // A path of recursion enters each definition once at most: the sum of their heights bounds it,
  // in whatever order a library follows them.
  std::size_t levels() {
    std::size_t sum = height(root_);
    std::unordered_set<const Json*> counted;
    for (const std::string& reference : references_) {
      const Json& target = target_of(root_, reference);
      if (counted.insert(&target).second) sum += height(target);
      if (sum > kLevels) break;
    }
    return sum;
  }

  bool has_too_many_alternatives() {
    return std::any_of(objects_.begin(), objects_.end(),
                       [this](const Json* object) { return alternatives(*object) > kAlternatives; });
  }

 private:
  void scan(const Json& value) {
    if (value.is_object()) objects_.push_back(&value);
    for (const auto& item : value.items()) {
      if (item.value().is_structured()) scan(item.value());
      if (value.is_object() && contains(kReferences, item.key()) && item.value().is_string())
        references_.insert(item.value().get<std::string>());
    }
  }

  std::size_t height(const Json& value) {
    if (!value.is_structured()) return 1;
    const auto known = heights_.find(&value);
    if (known != heights_.end()) return known->second;
    std::size_t tallest = 0;
    for (const auto& item : value.items()) tallest = std::max(tallest, height(item.value()));
    return heights_[&value] = tallest + 1;
  }

  std::uint64_t alternatives(const Json& schema) {
    if (!schema.is_object()) return 1;
    const auto [it, fresh] = alternatives_.try_emplace(&schema, 0);  // 0 while it is counted: cycles end there
    if (!fresh) return it->second;
    std::uint64_t sum = 1;
    for (const auto& item : schema.items()) {
      if (contains(kReferences, item.key()) && item.value().is_string()) {
        sum += alternatives(target_of(root_, item.value().get<std::string>()));
      } else if (contains(kInPlace, item.key())) {
        sum += alternatives(item.value());
        if (item.value().is_array() || item.key().starts_with("depend"))
          for (const auto& part : item.value().items()) sum += alternatives(part.value());
      }
      sum = std::min(sum, kAlternatives + 1);
    }
    return alternatives_[&schema] = sum;
  }

  const Json& root_;
  std::vector<const Json*> objects_;
  std::unordered_set<std::string> references_;
  std::unordered_map<const Json*, std::size_t> heights_;
  std::unordered_map<const Json*, std::uint64_t> alternatives_;
};

std::size_t nesting(const Json& value) {
  std::size_t deepest = 0;
  if (value.is_structured())
    for (const auto& item : value.items()) deepest = std::max(deepest, nesting(item.value()));
  return deepest + 1;
}

void visit_below(const std::string& path, Json& schema, const std::function<void(const std::string&, Json&)>& visit) {
  if (!schema.is_object()) return;
  visit(path, schema);
  for (auto& item : schema.items()) {
    const std::string below = path + "/" + item.key();
    Json& value = item.value();
    if (contains(kMapsOfSchemas, item.key()) && value.is_object()) {
      for (auto& entry : value.items()) visit_below(below + "/" + pointer_key(entry.key()), entry.value(), visit);
    } else if (contains(kListsOfSchemas, item.key()) && value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) visit_below(fmt::format("{}/{}", below, i), value[i], visit);
    } else if (contains(kSchemas, item.key())) {
      visit_below(below, value, visit);
    }
  }
}

void drop_unknown_dialect(Json& schema) {
  if (!schema.is_object()) return;
  const auto dialect = schema.find("$schema");
  if (dialect == schema.end() || !dialect->is_string()) return;
  const auto& uri = dialect->get_ref<const std::string&>();
  if (uri.find("://json-schema.org/") == std::string::npos) schema.erase("$schema");
}

// The part of a reference that names its document; empty for one within its own.
std::string_view document_of(std::string_view reference) { return reference.substr(0, reference.find('#')); }

// A document is at hand when a subschema's `$id` is its name, or ends in it as a relative one does.
void drop_foreign_references(Json& root, std::vector<std::string>* dropped) {
  std::vector<std::string> ids;
  bool any = false;
  visit_schemas(root, [&](const std::string&, Json& at) {
    for (const char* keyword : {"$id", "id"}) {
      const auto id = at.find(keyword);
      if (id != at.end() && id->is_string()) ids.emplace_back(document_of(id->get_ref<const std::string&>()));
    }
    const auto reference = at.find("$ref");
    any = any || (reference != at.end() && reference->is_string() &&
                  !document_of(reference->get_ref<const std::string&>()).empty());
  });
  if (!any) return;
  visit_schemas(root, [&](const std::string& path, Json& at) {
    const auto reference = at.find("$ref");
    if (reference == at.end() || !reference->is_string()) return;
    const std::string target = reference->get<std::string>();
    const std::string_view document = document_of(target);
    const bool known =
        std::any_of(ids.begin(), ids.end(), [&](const std::string& id) { return id.ends_with(document); });
    if (document.empty() || known || target.find("json-schema.org/") != std::string::npos) return;
    at.erase("$ref");
    if (dropped != nullptr)
      dropped->push_back(
          fmt::format("{}: $ref to \"{}\", which is not at hand", path.empty() ? "/" : path, shortened(target)));
  });
}

// The automaton of a long pattern may need gigabytes before anybody notices.
Status check_patterns(Json& schema) {
  std::string where;
  visit_schemas(schema, [&where](const std::string& path, Json& at) {
    const auto pattern = at.find("pattern");
    const bool is_long = pattern != at.end() && pattern->is_string() &&
                         pattern->get_ref<const std::string&>().size() > limits::kRegexBytes;
    const auto named = at.find("patternProperties");
    bool long_name = false;
    if (named != at.end() && named->is_object())
      for (const auto& [name, _] : named->items()) long_name = long_name || name.size() > limits::kRegexBytes;
    if (is_long || long_name) where = path.empty() ? "/" : path;
  });
  if (where.empty()) return {};
  return fail(Code::invalid, fmt::format("a pattern at {} has more than {} bytes", where, limits::kRegexBytes));
}

}  // namespace

Result<Json> read_schema(std::string_view text, std::vector<std::string>* dropped) {
  if (text.size() > limits::kToolSchemaBytes)
    return fail(Code::too_large,
                fmt::format("the schema has {} bytes; at most {} are taken", text.size(), limits::kToolSchemaBytes));
  auto parsed = parse_json(text);
  if (!parsed) return fail(Code::invalid, "the schema cannot be read: " + parsed.error().message);
  Json schema = std::move(*parsed);
  if (!schema.is_object() && !schema.is_boolean())
    return fail(Code::invalid,
                fmt::format("a JSON Schema is an object or a boolean, this one is {}", schema.type_name()));
  if (nesting(schema) > kNesting)
    return fail(Code::invalid, fmt::format("the schema is nested deeper than {} levels", kNesting));
  Complexity complexity(schema);
  if (complexity.levels() > kLevels)
    return fail(Code::invalid, "the schema's \"$ref\"s lead too deep: use fewer or flatter definitions");
  if (complexity.has_too_many_alternatives())
    return fail(Code::invalid, fmt::format("the schema combines more than {} subschemas for one value", kAlternatives));
  drop_unknown_dialect(schema);
  drop_foreign_references(schema, dropped);
  TRY_OK(check_patterns(schema));
  return schema;
}

std::string pointer_key(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

const Json* find_reference(const Json& root, const std::string& reference) {
  if (!reference.starts_with("#/")) return nullptr;
  try {
    const Json::json_pointer pointer(reference.substr(1));
    return root.contains(pointer) ? &root.at(pointer) : nullptr;
  } catch (const std::exception&) {
    return nullptr;  // a malformed pointer: the schema compiler will name it
  }
}

void visit_schemas(Json& root, const std::function<void(const std::string& path, Json& schema)>& visit) {
  visit_below("", root, visit);
}

}  // namespace kvern::constrain
