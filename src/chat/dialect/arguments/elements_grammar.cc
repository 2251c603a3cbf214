// Elements as a grammar. Every value ends with the mark before its closing tag, so that text ends at the
// first mark, whatever the tag: a value cannot hold one.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "chat/dialect/arguments/elements.h"
#include "chat/dialect/arguments/value_rules.h"
#include "chat/dialect/lark_text.h"
#include "constrain/text_grammar.h"

namespace kvern::chat {
namespace {

class ElementsStyle final : public ValueStyle {
 public:
  using ValueStyle::ValueStyle;

  Brackets object(Level level) const override { return {"", "", level == Level::arguments ? std::string() : mark()}; }
  Brackets list() const override { return {"", "", mark()}; }

  // The mark, the bracket and the name are apart: the lexer takes the longest that fits, and what a mark
  // is for shows behind it.
  std::string member(const std::string& key, const std::string& value, Level /*level*/) const override {
    return fmt::format("{} \"<\" {} \">\" {} \"</\" {} \">\"", mark(), key, value, key);
  }

  std::string item(const std::string& value) const override {
    return member(constrain::lark_literal(kItemElement), value, Level::nested);
  }

  std::optional<std::string> key_of(const std::string& text, Level /*level*/) const override {
    const bool is_tag = !text.empty() && text.find_first_of("<>/[] \t\r\n") == std::string::npos;
    return is_tag ? std::optional(constrain::lark_literal(text)) : std::nullopt;
  }

  std::string other_key(const std::vector<std::string>& taken, Level /*level*/) const override {
    return all_but("[A-Za-z_][A-Za-z0-9_.-]{0,127}", taken);
  }

  std::string scalar(const std::string& number_or_word) const override { return number_or_word + " " + mark(); }

  std::string any_text() const override { return up_to("TEXT", parts.dialect.parameter_begin); }

  // The mark's first character begins no such string, where the mark is no token; "" is the mark alone.
  std::string open_text() const override {
    const std::string_view begin = parts.dialect.parameter_begin;
    if (begins_with_control(begin, parts.vocab)) return any_text();
    parts.share("OPEN_TEXT", fmt::format("/[^{}](.|\\n)*/", regex_text(begin.substr(0, 1))));
    return up_to("OPEN_TEXT", begin);
  }

  std::optional<std::string> exact_text(const std::string& text) const override {
    if (text.find(parts.dialect.parameter_begin) != std::string::npos) return std::nullopt;
    return text.empty() ? mark() : constrain::lark_literal(text) + " " + mark();
  }

  std::string limited_text(const Json& schema, const std::string& path) const override {
    return up_to(raw_terminal(schema, parts.dialect.parameter_begin, path), parts.dialect.parameter_begin);
  }

  Result<std::string> ruled_text() const override {
    TRY(const std::string text, constrain::text_expression(parts.compiler, tool.input, constrain::TextForm::raw));
    return member(constrain::lark_literal(kCustomInput), text + " " + mark(), Level::arguments);
  }

 private:
  std::string mark() const { return lark_text(parts.dialect.parameter_begin, parts.vocab); }
};

}  // namespace

Result<std::string> elements_grammar(GrammarParts& parts, const Tool& tool) {
  return write_arguments(parts, tool, ElementsStyle(parts, tool));
}

}  // namespace kvern::chat
