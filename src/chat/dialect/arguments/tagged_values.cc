#include "chat/dialect/arguments/tagged_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "chat/dialect/arguments/tagged_strings.h"
#include "chat/dialect/call_reader.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/lark_text.h"
#include "chat/dialect/parameter_sets.h"
#include "constrain/regex_rewrite.h"
#include "constrain/schema.h"

namespace kvern::chat {
namespace {

constexpr std::string_view kAnyText = "(.|\\n)*";
constexpr TypeSet kStructured = kArray | kObject;

// The word for a value that is no string.
std::string_view json_word(const Dialect& dialect, TypeSet types) {
  if (dialect.type_word == TypeWord::none) return {};
  if (dialect.type_word == TypeWord::is_string) return "false";
  if ((types & kNumber) != 0) return "number";
  if ((types & kBoolean) != 0) return "boolean";
  if ((types & kObject) != 0) return "object";
  return (types & kArray) != 0 ? "array" : "null";
}

constexpr std::pair<TypeSet, const char*> kTypeNames[] = {
    {kNull, "null"}, {kBoolean, "boolean"}, {kNumber, "number"}, {kArray, "array"}, {kObject, "object"}};

// The schema of those of its values that have these types.
Json narrowed(const Json& schema, const Json& root, TypeSet types) {
  if (!allows_all(schema) && types_of(schema, root) == types) return schema;
  Json out = {{"type", Json::array()}};
  for (const auto& [type, name] : kTypeNames)
    if ((types & type) != 0) out["type"].push_back(name);
  if (out["type"].size() == 1) out["type"] = Json(out["type"][0]);
  if (!allows_all(schema)) out["allOf"] = Json::array({schema});
  return out;
}

// The values that are neither strings nor structured, as pieces of a terminal.
struct Scalars {
  std::vector<std::string> texts;
  bool integers = false;
  bool numbers = false;
  bool limited = false;  // a number must also obey what the pieces do not say
};

void collect(Scalars& out, const Json& schema, const Json& root, int depth) {
  constexpr int kDepth = 16;
  if (schema.is_object() && depth < kDepth) {
    if (const auto reference = schema.find("$ref"); reference != schema.end() && reference->is_string())
      if (const Json* target = resolve_ref(root, reference->get_ref<const std::string&>()))
        return collect(out, *target, root, depth + 1);
    for (const char* keyword : {"anyOf", "oneOf"}) {
      const auto choices = schema.find(keyword);
      if (choices == schema.end() || !choices->is_array()) continue;
      for (const Json& choice : *choices) collect(out, choice, root, depth + 1);
      return;
    }
    const Json listed = schema.contains("const")  ? Json::array({schema["const"]})
                        : schema.contains("enum") ? schema["enum"]
                                                  : Json();
    if (listed.is_array()) {
      for (const Json& value : listed)
        if (!value.is_string() && !value.is_structured()) out.texts.push_back(dump_json(value));
      return;
    }
  }
  const TypeSet types = types_of(schema, root);
  if ((types & kNull) != 0) out.texts.emplace_back("null");
  if ((types & kBoolean) != 0) out.texts.insert(out.texts.end(), {"true", "false"});
  if ((types & kNumber) == 0) return;
  const std::string written = schema.is_object() && schema.contains("type") ? dump_json(schema["type"]) : "";
  const bool integers = written.find("\"integer\"") != std::string::npos && written.find("number") == std::string::npos;
  (integers ? out.integers : out.numbers) = true;
  for (const char* keyword : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "allOf"})
    if (schema.is_object() && schema.contains(keyword)) out.limited = true;
}

std::string joined(const std::vector<std::string>& pieces, std::string_view separator) {
  return fmt::format("{}", fmt::join(pieces, separator));
}

}  // namespace

std::string_view string_word(const Dialect& dialect) {
  if (dialect.type_word == TypeWord::none) return {};
  return dialect.type_word == TypeWord::is_string ? "true" : "string";
}

TaggedValues::TaggedValues(GrammarParts& parts, const Tool& tool)
    : parts_(parts),
      dialect_(parts.dialect),
      tool_(tool),
      end_(lark_text(dialect_.parameter_end, parts.vocab)),
      tag_(trimmed(dialect_.parameter_end)),
      end_is_control_(begins_with_control(tag_, parts.vocab)) {}

Result<std::vector<TaggedValue>> TaggedValues::of(const Json& schema, const Json& root, const std::string& where) {
  const TypeSet types = types_of(schema, root);
  const TypeSet others = types & TypeSet{kAnyType & ~kString};
  const bool announced = dialect_.type_word != TypeWord::none;
  std::vector<TaggedValue> out;
  if ((types & kString) != 0) {
    TRY(std::string text, string_value(schema, root, announced ? TypeSet{0} : others, where));
    out.push_back({string_word(dialect_), std::move(text)});
    if (!announced) return out;
  }
  if (dialect_.type_word == TypeWord::json_type) {
    for (const auto& [type, name] : kTypeNames) {
      if ((others & type) == 0) continue;
      TRY(TaggedValue value, json_value(schema, root, type, where));
      out.push_back(std::move(value));
    }
  } else if (others != 0) {
    TRY(TaggedValue value, json_value(schema, root, others, where));
    out.push_back(std::move(value));
  }
  return out;
}

Result<TaggedValue> TaggedValues::json_value(const Json& schema, const Json& root, TypeSet types,
                                             const std::string& where) {
  auto document = standalone(narrowed(schema, root, types), root);
  if (!document) {
    relax(where + "a $ref that leads nowhere is not enforced");
    document = narrowed(Json(true), root, types);
  }
  TRY(const std::string value, parts_.json(tool_, dump_json(*document), where));
  return TaggedValue{json_word(dialect_, types), value + " " + end_};
}

// A string, or one of the other types without a word that tells them apart: the reader takes a text for
// JSON where the schema allows that JSON, and for a string else.
Result<std::string> TaggedValues::string_value(const Json& schema, const Json& root, TypeSet others,
                                               const std::string& where) {
  const StringWays strings = string_ways(schema, root);
  for (const std::string& what : strings.relaxed) relax(where + what);
  if (strings.ways.empty() || strings.open()) return raw_value();
  std::vector<std::string> texts;
  bool limited = false;
  for (const StringWay& way : strings.ways) {
    if (way.listed) {
      for (const std::string& text : *way.listed) texts.push_back(constrain::lark_literal(text));
      continue;
    }
    TRY(std::string text, limited_text(way, others, where));
    if (text.empty()) return raw_value();
    texts.push_back(std::move(text));
    limited = true;
  }
  if (std::string more = scalars(schema, root, others, where); !more.empty()) texts.push_back(std::move(more));
  const std::string either = joined(texts, " | ");
  std::string out = limited ? marked_text(either) : fmt::format("( {} ) {}", either, end_);
  if ((others & kStructured) == 0) return out;
  TRY(const TaggedValue structured, json_value(schema, root, others & kStructured, where));
  return fmt::format("( {} | {} )", out, structured.text);
}

// Empty when nothing of the limits can be said.
Result<std::string> TaggedValues::limited_text(const StringWay& way, TypeSet others, const std::string& where) {
  std::vector<std::string> all;
  for (const constrain::StringKeywords& limits : way.limits) {
    std::vector<std::string> relaxed;
    TRY(std::string one, constrain::string_terminal(limits, end_is_control_ ? std::string_view() : tag_, relaxed));
    for (const std::string& what : relaxed) relax(where + what);
    if (!one.empty()) all.push_back("(" + one + ")");
  }
  if (all.empty()) return std::string();
  // Beside structured values a bracket begins one of those: the lexer could not go back.
  if ((others & kStructured) != 0) all.push_back(fmt::format("~/[ \\t\\r\\n]*[\\[{{]{}/", kAnyText));
  return "(" + joined(all, " & ") + ")";
}

std::string TaggedValues::scalars(const Json& schema, const Json& root, TypeSet others, const std::string& where) {
  if ((others & ~kStructured) == 0) return {};
  Scalars found;
  collect(found, schema, root, 0);
  if (found.limited) relax(where + "a number's limits are not enforced beside strings");
  std::vector<std::string> pieces;
  for (const std::string& text : found.texts) pieces.push_back(constrain::lark_literal(text));
  if (found.numbers) {
    pieces.emplace_back("/-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?/");
  } else if (found.integers) {
    pieces.emplace_back("/-?(0|[1-9][0-9]*)/");
  }
  return joined(pieces, " | ");
}

// The body of a terminal, up to the first mark.
std::string TaggedValues::marked_text(const std::string& body) {
  const std::string hash = fmt::format("{:016x}", xxh3_128(body).low);
  const std::string terminal = fmt::format("VALUE_{:016X}", xxh3_128(body).low);
  parts_.share(terminal, body);
  if (end_is_control_) return terminal + " " + end_;
  parts_.share("value_" + hash + "[lazy]",
               fmt::format("{} {}", terminal, constrain::lark_literal(dialect_.parameter_end)));
  return "value_" + hash;
}

// Any text up to the first mark. It holds nothing that the reader takes for the mark; the other way
// round, the mark's own whitespace makes the difference between it and text.
std::string TaggedValues::raw_value() {
  if (end_is_control_) return "TEXT " + end_;
  const std::string_view end = dialect_.parameter_end;
  const bool own_line = end.starts_with('\n');
  std::string next = regex_text(trimmed(dialect_.parameter_begin));
  for (const std::string_view closing : end_markers(dialect_)) {
    next += "|" + regex_text(closing);
    break;
  }
  parts_.share("RAW", fmt::format("TEXT & ~/{}{}[ \\t\\r\\n]*({}){}/", own_line ? "((.|\\n)*\\n)?" : kAnyText,
                                  regex_text(tag_), next, kAnyText));
  // Where values have lines of their own the mark may, right at the beginning, stand without its newline.
  parts_.share("raw_value[lazy]", own_line ? fmt::format("( RAW {} )? {}", constrain::lark_literal("\n"),
                                                         constrain::lark_literal(end.substr(1)))
                                           : fmt::format("RAW {}", constrain::lark_literal(end)));
  return "raw_value";
}

Result<std::string> TaggedValues::custom_input() {
  if (tool_.input.syntax == TextSyntax::any) return raw_value();
  TRY(const std::string text, constrain::text_expression(parts_.compiler, tool_.input, constrain::TextForm::raw));
  if (tool_.input.syntax != TextSyntax::regex || end_is_control_) return text + " " + end_;
  // A regular expression could go on behind the mark; the rules of a grammar say where they end.
  TRY(const std::string regex,
      constrain::rewritten_regex(tool_.input.definition, constrain::RegexSyntax::rust, constrain::RegexText::raw));
  raw_value();
  return marked_text(fmt::format("({}) & RAW", constrain::lark_regex(regex)));
}

}  // namespace kvern::chat
