#include "chat/dialect/tool_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "chat/dialect/lark_text.h"
#include "chat/dialect/parameter_types.h"

namespace kvern::chat {
namespace {

constexpr std::string_view kStringKeywords[] = {"minLength", "maxLength", "pattern", "format"};
constexpr std::string_view kRootKeywords[] = {"$ref",
                                              "allOf",
                                              "anyOf",
                                              "oneOf",
                                              "not",
                                              "if",
                                              "minProperties",
                                              "maxProperties",
                                              "propertyNames",
                                              "dependencies",
                                              "dependentRequired",
                                              "dependentSchemas"};

const Json& member(const Json& object, std::string_view key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(std::string(key));
  return found == object.end() ? kNull : *found;
}

bool has_members(const Json& value) { return value.is_object() && !value.empty(); }

bool requires_key(const Json& root, const std::string& key) {
  const Json& required = member(root, "required");
  return required.is_array() && std::find(required.begin(), required.end(), key) != required.end();
}

// A tag ends at its first '>', so such a key cannot be written.
bool is_writable(std::string_view key) { return !key.empty() && key.find_first_of(">\n") == std::string_view::npos; }

bool refers_only_to_definitions(const Json& schema) {
  if (schema.is_array()) return std::all_of(schema.begin(), schema.end(), refers_only_to_definitions);
  if (!schema.is_object()) return true;
  for (const auto& [key, value] : schema.items()) {
    if (key == "$ref" && value.is_string()) {
      const std::string& reference = value.get_ref<const std::string&>();
      if (!reference.starts_with("#/$defs/") && !reference.starts_with("#/definitions/")) return false;
    }
    if (!refers_only_to_definitions(value)) return false;
  }
  return true;
}

// The property as a document of its own, with the definitions it may refer to.
Json standalone(const Json& property, const Json& root) {
  Json schema = property;
  for (const char* keyword : {"$defs", "definitions"})
    if (schema.is_object() && root.contains(keyword) && !schema.contains(keyword)) schema[keyword] = root[keyword];
  return schema;
}

// enum or const of strings (and other scalars): every text the value may be. Empty when it is open.
std::vector<std::string> listed_values(const Json& schema, std::string_view parameter_end) {
  const Json& constant = member(schema, "const");
  const Json values = constant.is_null() ? member(schema, "enum") : Json::array({constant});
  std::vector<std::string> texts;
  if (!values.is_array()) return texts;
  for (const Json& value : values) {
    if (value.is_structured()) return {};
    texts.push_back(value.is_string() ? value.get<std::string>() : dump_json(value));
    if (texts.back().find(parameter_end) != std::string::npos) return {};
  }
  return texts;
}

}  // namespace

Result<std::string> ToolGrammar::call(const Tool& tool, std::size_t index) {
  auto arguments = dialect_.arguments == ArgumentStyle::json ? json_arguments(tool) : tagged_arguments(tool);
  if (!arguments) {
    Error error = std::move(arguments).error();
    if (error.code == Code::invalid) error.field = fmt::format("tools[{}].function.parameters", index);
    return tl::unexpected(std::move(error));
  }
  std::string out = lark_text(tool.name + std::string(dialect_.name_end), vocab_);
  return out + *arguments;
}

Result<std::string> ToolGrammar::json_arguments(const Tool& tool) {
  // Arguments are an object, also when the schema does not say so. What is no schema stays as it
  // is, for the fitter to refuse.
  std::string schema = tool.parameters;
  if (auto parsed = parse_json(schema); parsed && parsed->is_object() && member(*parsed, "type") != "object") {
    (*parsed)["type"] = "object";
    schema = dump_json(*parsed);
  }
  TRY(auto fitted, fitter_.fit(schema, {std::string(dialect_.item_separator), std::string(dialect_.key_separator)}));
  for (const std::string& what : fitted.relaxed) relax(tool, what);
  return " %json " + fitted.json;
}

Result<std::string> ToolGrammar::tagged_arguments(const Tool& tool) {
  TRY(const Json root, parse_json(tool.parameters));
  // Only to refuse what is no schema; the properties are fitted one by one.
  TRY_OK(fitter_.fit(tool.parameters, {std::string(dialect_.item_separator), std::string(dialect_.key_separator)})
             .map([](const constrain::FittedSchema&) {}));
  for (const std::string_view keyword : kRootKeywords)
    if (!member(root, keyword).is_null()) relax(tool, fmt::format("{} of the parameters is not enforced", keyword));

  const Json& properties = member(root, "properties");
  const bool split = has_members(properties);
  bool writable = true;
  for (const Json& key : member(root, "required"))
    writable = writable && (!key.is_string() || is_writable(key.get_ref<const std::string&>()));
  if (!writable) {
    relax(tool, "a required name cannot be written as a tag; any parameters are allowed");
    return any_parameters();
  }
  const bool combined = !member(root, "$ref").is_null() || !member(root, "allOf").is_null() ||
                        !member(root, "anyOf").is_null() || !member(root, "oneOf").is_null();
  const Json& others = member(root, "additionalProperties");
  const bool open = has_members(member(root, "patternProperties")) || (!others.is_null() && others != Json(false));
  if (!split && (combined || open)) return any_parameters();

  std::string out;
  if (split) {
    for (const auto& [key, schema] : properties.items()) {
      if (!is_writable(key)) {
        relax(tool, "a name that cannot be written as a tag is left out");
        continue;
      }
      TRY(const std::string rule, parameter(tool, key, schema, root));
      out += requires_key(root, key) ? " " + rule : " ( " + rule + " )?";
    }
  }
  for (const Json& key : member(root, "required"))
    if (key.is_string() && !properties.contains(key.get_ref<const std::string&>())) {
      TRY(const std::string rule, parameter(tool, key.get<std::string>(), Json(true), root));
      out += " " + rule;
    }
  return out;
}

Result<std::string> ToolGrammar::parameter(const Tool& tool, const std::string& key, const Json& schema,
                                           const Json& root) {
  const std::string tag = std::string(dialect_.parameter_begin) + key + std::string(dialect_.parameter_name_end);
  std::string out = lark_text(tag, vocab_) + " ";
  const std::string end = " " + lark_text(dialect_.parameter_end, vocab_);

  const Json& reference = member(schema, "$ref");
  const Json* target = reference.is_string() ? resolve_ref(root, reference.get_ref<const std::string&>()) : nullptr;
  const Json& resolved = target != nullptr ? *target : schema;
  const std::string where = "/properties/" + key + ": ";

  const TypeSet types = types_of(schema, root);
  if ((types & kString) != 0) {
    if (const auto values = listed_values(resolved, dialect_.parameter_end); !values.empty()) {
      std::string choices;
      for (const std::string& value : values) {
        if (!choices.empty()) choices += " | ";
        choices += constrain::lark_literal(value);
      }
      return out + "( " + choices + " )" + end;
    }
    for (const std::string_view keyword : kStringKeywords)
      if (!member(resolved, keyword).is_null())
        relax(tool, where + fmt::format("{} is not enforced in a raw string", keyword));
    return out + raw_value();
  }
  if (!refers_only_to_definitions(schema)) {
    relax(tool, where + "a $ref outside $defs is not enforced");
    return out + raw_value();
  }
  TRY(auto fitted, fitter_.fit(dump_json(standalone(schema, root)),
                               {std::string(dialect_.item_separator), std::string(dialect_.key_separator)}));
  for (const std::string& what : fitted.relaxed) relax(tool, where + what);
  return out + "%json " + fitted.json + end;
}

std::string ToolGrammar::any_parameters() {
  uses_any_ = true;
  uses_raw_ = true;
  return " any_parameter*";
}

std::string ToolGrammar::raw_value() {
  uses_raw_ = true;
  return "raw_value";
}

std::string ToolGrammar::shared_rules() const {
  std::string out;
  if (uses_any_)
    out += fmt::format("any_parameter: {} PARAMETER_NAME {} raw_value\nPARAMETER_NAME: /[A-Za-z_][A-Za-z0-9_.-]*/\n",
                       lark_text(dialect_.parameter_begin, vocab_), lark_text(dialect_.parameter_name_end, vocab_));
  // Up to the first end tag. Right at the beginning the tag may stand without its newline, as the
  // parser reads it.
  if (uses_raw_) {
    const std::string_view end = dialect_.parameter_end;
    out += fmt::format("raw_value[lazy]: ( TEXT {} )? {}\n", constrain::lark_literal(end.substr(0, 1)),
                       constrain::lark_literal(end.substr(1)));
  }
  return out;
}

void ToolGrammar::relax(const Tool& tool, const std::string& what) {
  relaxed_.push_back(fmt::format("tool {}: {}", tool.name, what));
}

}  // namespace kvern::chat
