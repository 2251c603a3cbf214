#include "api/format_fields.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/limits.h"

namespace kvern::api {
namespace {

std::string_view without_leading_space(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

// A grammar without a name of its syntax: only GBNF has this sign, and every GBNF has it.
TextSyntax syntax_of(std::string_view grammar) {
  return grammar.find("::=") == std::string_view::npos ? TextSyntax::lark : TextSyntax::gbnf;
}

// llama-server reads GBNF, unless the text says that it is llguidance's Lark.
TextSyntax llama_syntax_of(std::string_view grammar) {
  return without_leading_space(grammar).starts_with("%llguidance") ? TextSyntax::lark : TextSyntax::gbnf;
}

Result<ResponseFormat> of_schema(const Fields& schema) {
  ResponseFormat out;
  out.kind = FormatKind::json_schema;
  TRY(out.schema, schema_text(schema));
  out.field = schema.path();
  return out;
}

// A schema as an object, or as a string that holds one.
Result<ResponseFormat> read_schema(const Json& value, std::string path) {
  const auto* text = value.get_ptr<const std::string*>();
  if (text == nullptr) {
    TRY(const Fields schema, Fields::of(value, std::move(path)));
    return of_schema(schema);
  }
  const Result<Json> parsed = parse_json(*text);
  if (!parsed)
    return fail(Code::invalid, fmt::format("expected a JSON Schema: {}", parsed.error().message), std::move(path));
  TRY(const Fields schema, Fields::of(*parsed, std::move(path)));
  return of_schema(schema);
}

Result<ResponseFormat> read_choices_of(const Json& value, std::string path) {
  if (!value.is_array()) return mismatch(std::move(path), "a list of strings", value);
  if (value.empty()) return fail(Code::invalid, "expected at least one choice, found an empty list", std::move(path));
  if (value.size() > limits::kFormatChoices)
    return fail(Code::too_large, fmt::format("more than {} choices", limits::kFormatChoices), std::move(path));
  ResponseFormat out;
  out.kind = FormatKind::choice;
  std::unordered_set<std::string_view> seen;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto* choice = value[i].get_ptr<const std::string*>();
    if (choice == nullptr) return mismatch(indexed(path, i), "a string", value[i]);
    if (choice->empty()) return fail(Code::invalid, "a choice must not be empty", indexed(path, i));
    bytes += choice->size();
    if (seen.insert(*choice).second) out.choices.push_back(*choice);
  }
  if (bytes > limits::kTextRuleBytes)
    return fail(Code::too_large,
                fmt::format("the choices have {} bytes, {} are allowed", bytes, limits::kTextRuleBytes),
                std::move(path));
  out.field = std::move(path);
  return out;
}

Result<ResponseFormat> of_rule(TextSyntax syntax, const std::string& definition, std::string path) {
  ResponseFormat out;
  out.kind = FormatKind::grammar;
  TRY(out.rule, read_rule(syntax, definition, path));
  out.field = std::move(path);
  return out;
}

Result<ResponseFormat> read_response_format(const Fields& format) {
  TRY(const std::string type, format.required_text("type"));
  ResponseFormat out;
  if (type == "text") return out;
  if (type == "json_object") {
    TRY(const std::optional<Fields> schema, format.object("schema"));  // llama-server's extension
    if (schema) return of_schema(*schema);
    out.kind = FormatKind::json_object;
    out.field = format.path();
    return out;
  }
  if (type == "json_schema") {
    TRY(const Fields wrapper, format.required_object("json_schema"));
    TRY(const Fields schema, wrapper.required_object("schema"));
    return of_schema(schema);
  }
  return fail(Code::invalid,
              fmt::format("expected \"text\", \"json_object\" or \"json_schema\", found {}", shown(type)),
              format.path_of("type"));
}

// {"type": "json_schema", "schema": {...}}
Result<ResponseFormat> read_output_format(const Fields& format) {
  TRY(const std::string type, format.required_text("type"));
  if (type == "text") return ResponseFormat();
  if (type != "json_schema")
    return fail(Code::invalid, fmt::format("expected \"json_schema\", found {}", shown(type)), format.path_of("type"));
  TRY(const Fields schema, format.required_object("schema"));
  return of_schema(schema);
}

// Takes what the request says, and refuses a second word on it.
class Collector {
 public:
  Status add(Result<ResponseFormat> read) {
    TRY(ResponseFormat format, std::move(read));
    if (format.kind == FormatKind::text) return {};
    if (out_.kind != FormatKind::text)
      return fail(
          Code::invalid,
          fmt::format("{} and {} both say what the answer must look like; send one of them", out_.field, format.field),
          format.field);
    out_ = std::move(format);
    return {};
  }

  Status schema(const Fields& from, std::string_view name) {
    const Json* value = from.find(name);
    return value == nullptr ? Status() : add(read_schema(*value, from.path_of(name)));
  }

  Status choices(const Fields& from, std::string_view name) {
    const Json* value = from.find(name);
    return value == nullptr ? Status() : add(read_choices_of(*value, from.path_of(name)));
  }

  // An empty text says nothing: user interfaces send their empty fields.
  template <typename SyntaxOf>
  Status rule(const Fields& from, std::string_view name, SyntaxOf syntax) {
    std::string definition;
    TRY_OK(from.text(name, definition));
    if (without_leading_space(definition).empty()) return {};
    return add(of_rule(syntax(definition), definition, from.path_of(name)));
  }

  Status object(const Fields& from, std::string_view name) {
    bool wanted = false;
    TRY_OK(from.flag(name, wanted));
    if (!wanted) return {};
    ResponseFormat format;
    format.kind = FormatKind::json_object;
    format.field = from.path_of(name);
    return add(std::move(format));
  }

  ResponseFormat take() { return std::move(out_); }

 private:
  ResponseFormat out_;
};

TextSyntax regex(std::string_view) { return TextSyntax::regex; }
TextSyntax gbnf(std::string_view) { return TextSyntax::gbnf; }

Status read_structured_outputs(const Fields& from, Collector& out) {
  TRY_OK(out.schema(from, "json"));
  TRY_OK(out.object(from, "json_object"));
  TRY_OK(out.choices(from, "choice"));
  TRY_OK(out.rule(from, "regex", regex));
  return out.rule(from, "grammar", syntax_of);
}

Result<std::string> read_whitespace(const Fields& body, const std::optional<Fields>& nested) {
  std::string pattern;
  std::string path;
  for (const char* name : {"guided_whitespace_pattern", "whitespace_pattern"}) {
    TRY_OK(body.text(name, pattern));
    if (path.empty() && !pattern.empty()) path = body.path_of(name);
  }
  if (nested) {
    TRY_OK(nested->text("whitespace_pattern", pattern));
    if (path.empty() && !pattern.empty()) path = nested->path_of("whitespace_pattern");
  }
  TRY(TextRule rule, read_rule(TextSyntax::regex, std::move(pattern), std::move(path)));
  return std::move(rule.definition);
}

}  // namespace

Result<ResponseFormat> read_format(const Fields& body) {
  Collector collector;
  TRY(const std::optional<Fields> format, body.object("response_format"));
  if (format) TRY_OK(collector.add(read_response_format(*format)));
  TRY(const std::optional<Fields> config, body.object("output_config"));
  for (const auto& [holder, name] : {std::pair(config, "format"), std::pair(std::optional(body), "output_format")}) {
    if (!holder) continue;
    TRY(const std::optional<Fields> output, holder->object(name));
    if (output) TRY_OK(collector.add(read_output_format(*output)));
  }
  TRY(const std::optional<Fields> nested, body.object("structured_outputs"));
  if (nested) TRY_OK(read_structured_outputs(*nested, collector));
  for (const char* name : {"json_schema", "guided_json"}) TRY_OK(collector.schema(body, name));
  TRY_OK(collector.object(body, "guided_json_object"));
  TRY_OK(collector.choices(body, "guided_choice"));
  for (const char* name : {"guided_regex", "regex"}) TRY_OK(collector.rule(body, name, regex));
  TRY_OK(collector.rule(body, "guided_grammar", syntax_of));
  TRY_OK(collector.rule(body, "ebnf", gbnf));
  TRY_OK(collector.rule(body, "grammar", llama_syntax_of));
  ResponseFormat out = collector.take();
  TRY(std::string whitespace, read_whitespace(body, nested));
  const bool json = out.kind == FormatKind::json_object || out.kind == FormatKind::json_schema;
  if (json) out.whitespace = std::move(whitespace);
  return out;
}

Result<std::string> schema_text(const Fields& schema) {
  std::string text = dump_json(schema.json());
  if (text.size() > limits::kToolSchemaBytes)
    return fail(Code::too_large,
                fmt::format("the schema has {} bytes, {} are allowed", text.size(), limits::kToolSchemaBytes),
                schema.path());
  return text;
}

Result<TextRule> read_rule(TextSyntax syntax, std::string definition, std::string path) {
  if (definition.size() > limits::kTextRuleBytes)
    return fail(Code::too_large,
                fmt::format("the rule has {} bytes, {} are allowed", definition.size(), limits::kTextRuleBytes),
                std::move(path));
  return TextRule{syntax, std::move(definition)};
}

}  // namespace kvern::api
