#include "constrain/schema_rewrite.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <utility>

#include "constrain/schema.h"
#include "constrain/schema_document.h"
#include "constrain/schema_logic.h"
#include "constrain/string_formats.h"

namespace kvern::constrain {
namespace {

constexpr std::size_t kBranches = 8;           // dependencies of one schema
constexpr std::size_t kComparedBranches = 64;  // of a oneOf, each with all others
constexpr std::size_t kCompareSteps = 20'000;  // of schemas and values, for one oneOf
constexpr std::size_t kNegatedBranches = 4;    // each is written with the opposite of all others
constexpr std::size_t kProperties = 12;        // of which one must be there
constexpr std::size_t kPropertySets = 64;      // of a counted object, written out
constexpr std::size_t kUnique = 4;             // values; their arrangements are written out
constexpr std::size_t kConditions = 12;        // rewritten in one schema: they multiply

constexpr std::array<const char*, 9> kInPlace = {
    "$ref", "allOf", "anyOf", "oneOf", "not", "if", "$dynamicRef", "dependentSchemas", "dependencies"};

void add_condition(Json& schema, Json condition) {
  Json& all = schema["allOf"];
  if (!all.is_array()) all = Json::array();
  all.push_back(std::move(condition));
}

Json all_of(std::vector<Json> parts) {
  std::erase_if(parts, [](const Json& part) { return part.is_object() ? part.empty() : part == Json(true); });
  if (parts.empty()) return Json::object();
  if (parts.size() == 1) return std::move(parts.front());
  return Json{{"allOf", std::move(parts)}};
}

std::optional<Json> take(Json& schema, const char* keyword) {
  const auto it = schema.find(keyword);
  if (it == schema.end()) return std::nullopt;
  Json value = std::move(*it);
  schema.erase(it);
  return value;
}

bool allows(const Json& schema, std::string_view type) {
  const std::vector<std::string> types = types_of(schema);
  return std::find(types.begin(), types.end(), type) != types.end();
}

class Rewriter {
 public:
  Rewriter(Json& root, std::vector<std::string>& relaxed) : root_(root), relaxed_(relaxed) {}

  void run() {
    visit_schemas(root_, [this](const std::string& path, Json& schema) {
      format(path, schema);
      unevaluated(schema);
      property_names(schema);
      property_counts(schema);
      unique_items(schema);
      if (conditions_ >= kConditions) return;
      negated(schema);
      conditional(schema);
      dependencies(schema);
      one_of(schema);
    });
  }

 private:
  void format(const std::string& path, Json& schema) {
    const auto it = schema.find("format");
    if (it == schema.end() || !it->is_string()) return;
    const auto name = it->get<std::string>();
    schema.erase(it);
    if (!allows(schema, "string")) return;  // a format is about strings
    const FormatRegexes regexes = format_regexes(name);
    if (regexes.form.empty()) {
      relaxed_.push_back(fmt::format("{}: format \"{}\"", path.empty() ? "/" : path, name));
      return;
    }
    for (const std::string_view regex : {regexes.form, regexes.length}) {
      if (regex.empty()) continue;
      Json condition = {{"pattern", fmt::format("^(?:{})$", regex)}};
      if (schema.value("type", Json()) == "string") condition["type"] = "string";
      add_condition(schema, std::move(condition));
    }
  }

  // Without a composition beside it, what is not evaluated is what is additional.
  static void unevaluated(Json& schema) {
    if (!schema.contains("unevaluatedProperties")) return;
    if (std::any_of(kInPlace.begin(), kInPlace.end(), [&](const char* word) { return schema.contains(word); })) return;
    const auto rest = take(schema, "unevaluatedProperties");
    if (!schema.contains("additionalProperties")) schema["additionalProperties"] = *rest;
  }

  static void property_names(Json& schema) {
    const auto it = schema.find("propertyNames");
    if (it == schema.end() || !it->is_object() || schema.contains("patternProperties")) return;
    const Json rule = *it;
    const auto additional = schema.find("additionalProperties");
    const Json rest = additional == schema.end() ? Json(true) : *additional;
    const bool has_names = schema.contains("properties") && !schema["properties"].empty();
    Json names = rule;
    names.erase("type");
    const bool listed = names.size() == 1 && names.contains("enum") && names["enum"].is_array();
    std::string pattern;
    if (names.size() == 1 && names.contains("pattern") && names["pattern"].is_string()) {
      pattern = names["pattern"].get<std::string>();
    } else if (!names.empty() && !listed) {
      for (const auto& item : names.items())
        if ((item.key() != "minLength" && item.key() != "maxLength") || !item.value().is_number_unsigned()) return;
      pattern = fmt::format("^(?s:.{{{},{}}})$", names.value("minLength", 0U),
                            names.contains("maxLength") ? names["maxLength"].dump() : "");
    }
    if (!listed && (pattern.empty() || (has_names && rest.is_object()))) return;
    const auto check = SchemaCheck::compile(dump_json(rule));
    if (!check) return;
    if (has_names)
      for (auto& property : schema["properties"].items())
        if (!check->check(dump_json(Json(property.key())))) property.value() = false;
    if (rest != Json(false)) {
      if (listed) {
        for (const Json& name : names["enum"])
          if (name.is_string() && !schema["properties"].contains(name.get<std::string>()))
            schema["properties"][name.get<std::string>()] = rest;
      } else {
        schema["patternProperties"][pattern] = rest;
      }
    }
    schema["additionalProperties"] = false;
    schema.erase("propertyNames");
  }

  // Of an object without other properties than the named ones, the sets of those that may be there together.
  static bool count_closed(Json& schema) {
    const auto named = schema.find("properties");
    if (named == schema.end() || !named->is_object() || schema.contains("patternProperties") ||
        schema.value("additionalProperties", Json(true)) != Json(false))
      return false;
    const Json least = schema.value("minProperties", Json(0U));
    const Json most = schema.value("maxProperties", Json(kProperties));
    if (!least.is_number_unsigned() || !most.is_number_unsigned()) return false;
    std::vector<std::string> names;
    for (const auto& item : named->items())
      if (item.value() != Json(false)) names.push_back(item.key());
    const bool bounded = schema.contains("minProperties") || most.get<std::size_t>() < names.size();
    if (!bounded || names.empty() || names.size() > kProperties) return false;
    std::uint32_t needed = 0;
    const Json required = schema.value("required", Json::array());
    for (std::size_t i = 0; i < names.size(); ++i)
      if (std::find(required.begin(), required.end(), Json(names[i])) != required.end()) needed |= 1U << i;
    Json sets = Json::array();
    for (std::uint32_t set = 0; set < (1U << names.size()) && sets.size() <= kPropertySets; ++set) {
      const auto count = static_cast<std::size_t>(std::popcount(set));
      if ((set & needed) != needed || count < least.get<std::size_t>() || count > most.get<std::size_t>()) continue;
      Json there = Json::array();
      Json absent = Json::object();
      for (std::size_t i = 0; i < names.size(); ++i) {
        if ((set >> i & 1U) != 0)
          there.push_back(names[i]);
        else
          absent[names[i]] = false;
      }
      sets.push_back(Json{{"required", std::move(there)}, {"properties", std::move(absent)}});
    }
    if (sets.empty() || sets.size() > kPropertySets) return false;
    schema.erase("minProperties");
    schema.erase("maxProperties");
    add_condition(schema, Json{{"anyOf", std::move(sets)}});
    return true;
  }

  // minProperties 1 beside properties: the first of them is there, or the second, ..., or another one.
  static void property_counts(Json& schema) {
    if (count_closed(schema)) return;
    const auto least = schema.find("minProperties");
    if (least == schema.end() || !least->is_number_unsigned()) return;
    const std::size_t required = schema.contains("required") ? schema["required"].size() : 0;
    if (least->get<std::uint64_t>() <= required) {
      schema.erase("minProperties");
      return;
    }
    if (*least != 1U || !schema.contains("properties") || schema.contains("patternProperties") ||
        schema.contains("maxProperties") || schema.value("additionalProperties", Json(true)) == Json(false))
      return;
    const Json& properties = schema["properties"];
    const bool none_possible =
        std::all_of(properties.begin(), properties.end(), [](const Json& property) { return property == Json(false); });
    if (none_possible || properties.size() > kProperties) return;
    Json options = Json::array();
    Json absent = Json::object();
    for (const auto& item : properties.items()) {
      options.push_back(Json{{"required", {item.key()}}, {"properties", absent}});
      absent[item.key()] = false;
    }
    options.push_back(Json{{"properties", absent}, {"minProperties", 1U}});
    schema.erase("minProperties");
    add_condition(schema, Json{{"anyOf", std::move(options)}});
  }

  static void unique_items(Json& schema) {
    if (schema.value("uniqueItems", Json()) != Json(true)) return;
    if (const auto most = schema.find("maxItems"); most != schema.end() && *most <= 1) {
      schema.erase("uniqueItems");
      return;
    }
    const Json items = schema.value("items", Json());
    if (!items.is_object() || schema.contains("prefixItems") || !schema.contains("type")) return;
    std::vector<Json> values;
    if (items.contains("enum") && items["enum"].is_array()) values = {items["enum"].begin(), items["enum"].end()};
    if (items.value("type", Json()) == "boolean" && values.empty()) values = {true, false};
    if (values.empty() || values.size() > kUnique) return;
    Json arrangements = Json::array();
    arrange(values, Json::array(), arrangements);
    schema.erase("uniqueItems");
    Json others = Json::array();
    for (const std::string& type : types_of(schema))
      if (type != "array") others.push_back(type);
    Json unique = {{"enum", std::move(arrangements)}};
    if (!others.empty()) unique = Json{{"anyOf", {Json{{"type", std::move(others)}}, std::move(unique)}}};
    add_condition(schema, std::move(unique));
  }

  static void arrange(const std::vector<Json>& left, const Json& so_far, Json& out) {
    out.push_back(so_far);
    for (std::size_t i = 0; i < left.size(); ++i) {
      std::vector<Json> rest = left;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
      Json longer = so_far;
      longer.push_back(left[i]);
      arrange(rest, longer, out);
    }
  }

  void negated(Json& schema) {
    const auto it = schema.find("not");
    if (it == schema.end()) return;
    auto opposite = negation(*it, schema);
    if (!opposite) return;
    schema.erase("not");
    condition(schema, *std::move(opposite));
  }

  void conditional(Json& schema) {
    const auto it = schema.find("if");
    if (it == schema.end()) return;
    auto opposite = negation(*it, schema);
    if (!opposite) return;
    const Json when = *take(schema, "if");
    std::vector<Json> options;
    options.push_back(all_of({when, take(schema, "then").value_or(Json::object())}));
    options.push_back(all_of({*std::move(opposite), take(schema, "else").value_or(Json::object())}));
    condition(schema, Json{{"anyOf", std::move(options)}});
  }

  // Either the name is absent, or it is there and so is what it needs.
  void dependencies(Json& schema) {
    for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"}) {
      const auto it = schema.find(keyword);
      if (it == schema.end() || !it->is_object() || it->size() > kBranches) continue;
      const Json all = *take(schema, keyword);
      for (const auto& item : all.items()) {
        Json needed = {{"properties", {{item.key(), true}}}, {"required", {item.key()}}};  // first in the order too
        if (item.value().is_array()) {
          for (const Json& name : item.value()) needed["required"].push_back(name);
        } else {
          needed = all_of({std::move(needed), item.value()});
        }
        const Json absent = {{"properties", {{item.key(), false}}}};
        condition(schema, Json{{"anyOf", {absent, std::move(needed)}}});
      }
    }
  }

  void one_of(Json& schema) {
    const auto it = schema.find("oneOf");
    if (it == schema.end() || !it->is_array() || it->empty()) return;
    Json base = schema;
    base.erase("oneOf");
    std::size_t steps = kCompareSteps;
    bool disjoint = it->size() <= kComparedBranches;
    for (std::size_t i = 0; i < it->size() && disjoint; ++i)
      for (std::size_t j = i + 1; j < it->size() && disjoint; ++j)
        disjoint = are_disjoint((*it)[i], (*it)[j], base, root_, steps);
    Json options = disjoint ? *it : exclusive(*it, base);
    if (options.empty()) return;
    schema.erase("oneOf");
    if (!schema.contains("anyOf")) {
      schema["anyOf"] = std::move(options);
    } else {
      add_condition(schema, Json{{"anyOf", std::move(options)}});
    }
  }

  // Each branch and the opposite of all others; empty when one has no opposite.
  Json exclusive(const Json& branches, const Json& base) {
    if (branches.size() > kNegatedBranches) return Json::array();
    std::vector<Json> opposites;
    for (const Json& branch : branches) {
      auto opposite = negation(branch, base);
      if (!opposite) return Json::array();
      opposites.push_back(*std::move(opposite));
    }
    Json options = Json::array();
    for (std::size_t i = 0; i < branches.size(); ++i) {
      std::vector<Json> parts = {branches[i]};
      for (std::size_t j = 0; j < branches.size(); ++j)
        if (j != i) parts.push_back(opposites[j]);
      options.push_back(all_of(std::move(parts)));
    }
    ++conditions_;
    return options;
  }

  void condition(Json& schema, Json what) {
    ++conditions_;
    add_condition(schema, std::move(what));
  }

  Json& root_;
  std::vector<std::string>& relaxed_;
  std::size_t conditions_ = 0;
};

}  // namespace

void rewrite_schema(Json& root, std::vector<std::string>& relaxed) { Rewriter(root, relaxed).run(); }

}  // namespace kvern::constrain
