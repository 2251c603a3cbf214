#include "constrain/schema_repair.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "constrain/schema_document.h"
#include "constrain/schema_logic.h"

namespace kvern::constrain {
namespace {

constexpr std::array<std::string_view, 8> kCounts = {"minLength",     "maxLength",     "minItems",    "maxItems",
                                                     "minProperties", "maxProperties", "minContains", "maxContains"};

// Keywords an error of llguidance is about, and which it can do without.
struct Remedy {
  std::string_view error;
  std::array<std::string_view, 4> keywords;
};
constexpr std::array<Remedy, 3> kRemedies = {{
    {"Failed to generate regex for", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}},
    {"patternProperty", {"patternProperties", "additionalProperties"}},  // without the first, the second says too much
    {"Properties (", {"minProperties", "maxProperties"}},
}};
constexpr std::size_t kPatterns = kRemedies.size();  // two kinds of trouble need more than a table
constexpr std::size_t kSiblings = kRemedies.size() + 1;

bool says_nothing(const Json& subschema) {
  return subschema.is_object() ? subschema.empty() : subschema.is_boolean() && subschema.get<bool>();
}

bool is(const Json& schema, const char* keyword, const Json& value) {
  const auto it = schema.find(keyword);
  return it != schema.end() && *it == value;
}

void tidy_one(Json& schema) {
  schema.erase("x-guidance");
  if (is(schema, "uniqueItems", false)) schema.erase("uniqueItems");
  if (is(schema, "not", false)) schema.erase("not");
  if (!schema.contains("if")) {
    schema.erase("then");
    schema.erase("else");
  } else if (!schema.contains("then") && !schema.contains("else")) {
    schema.erase("if");
  }
  if (!schema.contains("contains")) {
    schema.erase("minContains");
    schema.erase("maxContains");
  }
  for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"})
    if (is(schema, keyword, Json::object())) schema.erase(keyword);
  for (const char* keyword : {"unevaluatedProperties", "unevaluatedItems", "propertyNames"})
    if (const auto it = schema.find(keyword); it != schema.end() && says_nothing(*it)) schema.erase(keyword);
  if (is(schema, "propertyNames", Json{{"type", "string"}})) schema.erase("propertyNames");
  for (const std::string_view keyword : kCounts) {
    const auto it = schema.find(std::string(keyword));
    if (it == schema.end() || !it->is_number_float()) continue;
    const double value = it->get<double>();
    if (value >= 0 && value < 1e15 && std::floor(value) == value) *it = static_cast<std::uint64_t>(value);
  }
}

constexpr std::uint64_t kMultiple = 5'000;  // states, about 60 ms
constexpr int kDecimals = 6;

// The least common multiple of the numbers seen so far, in units of the finest one's last decimal.
struct CommonMultiple {
  std::uint64_t units = 0;  // 0: none yet
  int decimals = 0;

  // Nothing when the result is over kMultiple.
  std::optional<CommonMultiple> with(double number) const {
    int own = 0;
    for (; number != std::floor(number) && own <= kDecimals; ++own) number *= 10;
    if (own > kDecimals || !(number >= 1) || number > static_cast<double>(kMultiple)) return std::nullopt;
    CommonMultiple next{units, std::max(own, decimals)};
    auto added = static_cast<std::uint64_t>(number);
    for (int i = decimals; i < next.decimals; ++i) next.units *= 10;
    for (int i = own; i < next.decimals; ++i) added *= 10;
    next.units = next.units == 0 ? added : std::lcm(next.units, added);
    if (next.units > kMultiple) return std::nullopt;
    return next;
  }
};

// One warning of llguidance, taken apart.
struct Warning {
  std::string text;
  std::vector<std::string> keywords;
  std::string format;  // when only this one value of "format" is meant
};

Warning parse_warning(std::string_view line) {
  if (line.starts_with("WARNING: ")) line.remove_prefix(9);
  if (line.ends_with(" times)")) line = line.substr(0, line.rfind(" ("));
  Warning warning{std::string(line), {}, {}};
  if (line.starts_with("Unimplemented keys: ")) {
    const auto keys = parse_json(line.substr(line.find('[')));
    if (keys && keys->is_array())
      for (const auto& key : keys->items())
        if (key.value().is_string()) warning.keywords.push_back(key.value().get<std::string>());
  } else if (line.starts_with("Unknown format: ")) {
    warning.keywords = {"format"};
    warning.format = line.substr(line.find(": ") + 2);
  } else if (line.starts_with("oneOf")) {
    warning.keywords = {"oneOf"};
  } else if (line.starts_with("min/maxProperties")) {
    warning.keywords = {"minProperties", "maxProperties"};
  }
  return warning;
}

void locate_one(Json& schema, const Warning& warning, std::vector<std::string>& out) {
  const std::size_t before = out.size();
  visit_schemas(schema, [&](const std::string& path, Json& at) {
    for (const std::string& keyword : warning.keywords) {
      const auto it = at.find(keyword);
      if (it == at.end() || (!warning.format.empty() && *it != warning.format)) continue;
      std::string line = fmt::format("{}: {}", path.empty() ? "/" : path, keyword);
      if (!warning.format.empty()) line += fmt::format(" \"{}\"", warning.format);
      if (keyword == "oneOf") line += " (taken as anyOf)";
      if (std::find(out.begin(), out.end(), line) == out.end()) out.push_back(std::move(line));
    }
  });
  if (out.size() == before) out.push_back(warning.text);
}

}  // namespace

void tidy(Json& schema) {
  visit_schemas(schema, [](const std::string&, Json& at) { tidy_one(at); });
}

std::vector<std::string> locate(Json& schema, std::string_view warnings) {
  std::vector<std::string> lines;
  while (!warnings.empty()) {
    const std::size_t end = std::min(warnings.find('\n'), warnings.size());
    if (end > 0) locate_one(schema, parse_warning(warnings.substr(0, end)), lines);
    warnings.remove_prefix(std::min(end + 1, warnings.size()));
  }
  return lines;
}

void Repair::drop_costly_multiples(Json& schema) {
  CommonMultiple common;
  visit_schemas(schema, [&](const std::string& path, Json& at) {
    const auto it = at.find("multipleOf");
    if (it == at.end() || !it->is_number()) return;
    if (const auto next = common.with(std::abs(it->get<double>()))) {
      common = *next;
    } else {
      at.erase("multipleOf");
      removed_.push_back(fmt::format("{}: multipleOf", path.empty() ? "/" : path));
    }
  });
}

bool Repair::apply(const std::string& error, Json& schema) {
  tried_.resize(kRemedies.size() + 2);
  const auto once = [this](std::size_t trouble) {
    const bool fresh = !tried_[trouble];
    tried_[trouble] = true;
    return fresh;
  };
  if (error.find("circular references") != std::string::npos && once(kSiblings))
    return remove_reference_siblings(schema);
  for (std::size_t i = 0; i < kRemedies.size(); ++i)
    if (error.find(kRemedies[i].error) != std::string::npos && once(i) && remove_keywords(i, schema)) return true;
  return (error.find("egex") != std::string::npos) && once(kPatterns) && remove_patterns(schema);
}

bool Repair::remove_keywords(std::size_t remedy, Json& schema) {
  const std::size_t before = removed_.size();
  const Remedy& what = kRemedies[remedy];
  visit_schemas(schema, [&](const std::string& path, Json& at) {
    if (!at.contains(std::string(what.keywords.front())) && what.error == "patternProperty") return;
    for (const std::string_view keyword : what.keywords)
      if (!keyword.empty() && at.erase(std::string(keyword)) > 0)
        removed_.push_back(fmt::format("{}: {}", path.empty() ? "/" : path, keyword));
  });
  return removed_.size() > before;
}

bool Repair::remove_patterns(Json& schema) {
  const std::size_t before = removed_.size();
  visit_schemas(schema, [&](const std::string& path, Json& at) {
    const auto pattern = at.find("pattern");
    if (pattern == at.end() || !pattern->is_string()) return;
    Json alone = {{"type", "string"}, {"pattern", *pattern}};
    for (const char* keyword : {"format", "minLength", "maxLength"})
      if (const auto it = at.find(keyword); it != at.end()) alone[keyword] = *it;
    alone["x-guidance"] = {{"lenient", true}};
    if (compiler_.try_compile("start: %json " + dump_json(alone))) return;
    at.erase("pattern");
    removed_.push_back(fmt::format("{}: pattern", path.empty() ? "/" : path));
  });
  return removed_.size() > before;
}

bool Repair::remove_reference_siblings(Json& schema) {
  const std::size_t before = removed_.size();
  visit_schemas(schema, [&](const std::string& path, Json& at) {
    if (!at.contains("$ref") || path.empty()) return;
    std::vector<std::string> extra;
    for (const auto& item : at.items())
      if (item.key() != "$ref" && !is_annotation(item.key())) extra.push_back(item.key());
    for (const std::string& keyword : extra) {
      at.erase(keyword);
      removed_.push_back(fmt::format("{}: {} beside $ref", path, keyword));
    }
  });
  return removed_.size() > before;
}

}  // namespace kvern::constrain
