// Gemma's objects as a grammar.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "chat/dialect/arguments/object.h"
#include "chat/dialect/arguments/value_rules.h"
#include "chat/dialect/lark_text.h"
#include "constrain/text_grammar.h"

namespace kvern::chat {
namespace {

class ObjectStyle final : public ValueStyle {
 public:
  using ValueStyle::ValueStyle;

  Brackets object(Level /*level*/) const override { return {"\"{\"", "\",\"", "\"}\""}; }
  Brackets list() const override { return {"\"[\"", "\",\"", "\"]\""}; }

  std::string member(const std::string& key, const std::string& value, Level /*level*/) const override {
    return fmt::format("{} \":\" {}", key, value);
  }

  std::optional<std::string> key_of(const std::string& text, Level /*level*/) const override {
    const bool bare = !text.empty() && text.find_first_of(":{}[],\"<>| \t\r\n") == std::string::npos;
    return bare ? std::optional(constrain::lark_literal(text)) : std::nullopt;
  }

  std::string other_key(const std::vector<std::string>& taken, Level /*level*/) const override {
    return all_but("[A-Za-z0-9_.$-]{1,128}", taken);
  }

  // Their templates write Python's word.
  std::string null() const override { return "( \"None\" | \"null\" )"; }

  std::string any_text() const override { return quoted("TEXT"); }

  std::optional<std::string> exact_text(const std::string& text) const override {
    if (text.find(parts.dialect.quote) != std::string::npos) return std::nullopt;
    const std::string mark = lark_text(parts.dialect.quote, parts.vocab);
    return fmt::format("{} {} {}", mark, constrain::lark_literal(text), mark);
  }

  std::string limited_text(const Json& schema, const std::string& path) const override {
    return quoted(raw_terminal(schema, parts.dialect.quote, path));
  }

  Result<std::string> ruled_text() const override {
    TRY(const std::string text, constrain::text_expression(parts.compiler, tool.input, constrain::TextForm::raw));
    const std::string mark = lark_text(parts.dialect.quote, parts.vocab);
    return fmt::format("{} {} {} {} \"}}\"", constrain::lark_literal("{" + std::string(kCustomInput) + ":"), mark, text,
                       mark);
  }

  bool sorts_keys() const override { return true; }

 private:
  std::string quoted(const std::string& terminal) const {
    return lark_text(parts.dialect.quote, parts.vocab) + " " + up_to(terminal, parts.dialect.quote);
  }
};

}  // namespace

Result<std::string> object_grammar(GrammarParts& parts, const Tool& tool) {
  return write_arguments(parts, tool, ObjectStyle(parts, tool));
}

}  // namespace kvern::chat
