// Python's keyword arguments as a grammar. Models of these families write both kinds of quotes, and
// JSON's words beside Python's: each is as valid as the other, and the reader takes all.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "chat/dialect/arguments/flat_schema.h"
#include "chat/dialect/arguments/pythonic.h"
#include "chat/dialect/arguments/value_rules.h"
#include "chat/dialect/lark_text.h"
#include "constrain/text_grammar.h"

namespace kvern::chat {
namespace {

// An escape sequence; one that needs digits has them.
constexpr std::string_view kEscape = R"(\\([^0-7xuUN]|[0-7]{1,3}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U000[0-9A-Fa-f]{5}))";

constexpr std::string_view kTextKeywords[] = {"minLength", "maxLength", "pattern", "format"};

class PythonicStyle final : public ValueStyle {
 public:
  using ValueStyle::ValueStyle;

  Brackets object(Level level) const override {
    if (level == Level::arguments) return {"", separator(), ""};
    return {"\"{\"", "\", \"", "\"}\""};
  }
  Brackets list() const override { return {"\"[\"", "\", \"", "\"]\""}; }

  std::string member(const std::string& key, const std::string& value, Level level) const override {
    return fmt::format("{} \"{}\" {}", key, level == Level::arguments ? "=" : ": ", value);
  }

  std::optional<std::string> key_of(const std::string& text, Level level) const override {
    if (level == Level::nested) return exact_text(text);
    if (!is_pythonic_key(text)) return std::nullopt;
    return constrain::lark_literal(text);
  }

  std::string other_key(const std::vector<std::string>& taken, Level level) const override {
    constexpr std::string_view kWord = "[A-Za-z_][A-Za-z0-9_]{0,127}";
    if (level == Level::arguments) return all_but(kWord, taken);
    std::vector<std::string> quoted;
    for (const std::string& text : taken) {
      quoted.push_back("'" + text + "'");
      quoted.push_back("\"" + text + "\"");
    }
    return all_but(R"('[^'\\\n]{1,128}'|"[^"\\\n]{1,128}")", quoted);
  }

  std::string boolean(bool value) const override {
    return value ? "( \"True\" | \"true\" )" : "( \"False\" | \"false\" )";
  }
  std::string null() const override { return "( \"None\" | \"null\" )"; }

  std::string any_text() const override {
    parts.share("PYTHON_TEXT", fmt::format(R"(/'([^'\\]|{0})*'|"([^"\\]|{0})*"/)", kEscape));
    return "PYTHON_TEXT";
  }

  std::optional<std::string> exact_text(const std::string& text) const override {
    return fmt::format("( {} | {} )", constrain::lark_literal(python_text(text, '\'')),
                       constrain::lark_literal(python_text(text, '"')));
  }

  // A string of JSON is one of Python.
  std::string limited_text(const Json& schema, const std::string& path) const override {
    Json limited = {{"type", "string"}};
    for (const std::string_view keyword : kTextKeywords)
      if (const Json& value = member_of(schema, keyword); !value.is_null()) limited[std::string(keyword)] = value;
    if (limited.size() > 1)
      if (const auto written = parts.json(tool, dump_json(limited), path + ": ")) return *written;
    return any_text();
  }

  Result<std::string> ruled_text() const override {
    TRY(const std::string text,
        constrain::text_expression(parts.compiler, tool.input, constrain::TextForm::json_string));
    return fmt::format("{} {} \"\\\"\"", constrain::lark_literal(std::string(kCustomInput) + "=\""), text);
  }

  bool values_are_json() const override { return parts.dialect.quote == "\""; }

 private:
  std::string separator() const { return constrain::lark_literal(parts.dialect.item_separator); }
};

}  // namespace

Result<std::string> pythonic_grammar(GrammarParts& parts, const Tool& tool) {
  return write_arguments(parts, tool, PythonicStyle(parts, tool));
}

}  // namespace kvern::chat
