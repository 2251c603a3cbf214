#include "constrain/text_grammar.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/json_text.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "constrain/compiler.h"
#include "constrain/deep_stack.h"
#include "constrain/regex_rewrite.h"
#include "constrain/schema.h"
#include "constrain/terminals.h"
#include "constrain/text_rules.h"

namespace kvern::constrain {
namespace {

constexpr const char* kAnyText = "(?s:.*)";

// After /a(ba)*/ a "b" always goes on with it, so where a "b" follows, llguidance would put in forced bytes
// for ever. A quote is never part of what stands before it.
constexpr const char* kNoForcing = "%llguidance {\"no_forcing\": true}\n";

// A tree of rules as a grammar of its own inside the one around it: `%lark { ... }`. Rules get names of
// ours, so nothing of a client's text is copied but literals and rewritten regular expressions.
class LarkWriter {
 public:
  LarkWriter(const TextRuleSet& rules, TextForm form)
      : rules_(rules), text_(form == TextForm::raw ? RegexText::raw : RegexText::json_string) {}

  Result<std::string> write() {
    const bool ends_for_sure = text_ == RegexText::json_string && rules_.rules[rules_.start].terminal;
    std::string out = fmt::format("%lark {{\n{}start: {}\n", ends_for_sure ? "" : kNoForcing, name(rules_.start));
    for (std::size_t i = 0; i < rules_.rules.size(); ++i) {
      const TextRuleSet::Rule& rule = rules_.rules[i];
      auto body = node(rule.body);
      if (!body) return fail(body.error().code, fmt::format("line {}: {}", rule.line, body.error().message));
      out += fmt::format("{}: {}\n", name(i), *body);
      if (out.size() > limits::kGrammarBytes / 2) return fail(Code::too_large, "the grammar is too large");
    }
    for (const RuleNode& ignored : rules_.ignored) {
      TRY(const std::string body, node(ignored));
      out += fmt::format("%ignore {}\n", body);
    }
    return out + "}";
  }

 private:
  std::string name(std::size_t index) const {
    return fmt::format("{}{}", rules_.rules[index].terminal ? 'T' : 'r', index);
  }

  Result<std::string> node(const RuleNode& of) const {
    switch (of.kind) {
      case RuleNode::Kind::literal: return literal(of.text);
      case RuleNode::Kind::regex: return regex(of.text);
      case RuleNode::Kind::rule: return name(of.index);
      case RuleNode::Kind::sequence: return joined(of, " ");
      case RuleNode::Kind::choice: return joined(of, " | ");
      case RuleNode::Kind::both: return joined(of, " & ");
      case RuleNode::Kind::except: return except(of);
      case RuleNode::Kind::repeat: return repeat(of);
    }
    return std::string();
  }

  std::string literal(std::string_view text) const {
    if (text_ == RegexText::raw) return lark_literal(text);
    std::string escaped;
    append_json_escaped(escaped, text);
    return lark_literal(escaped);
  }

  Result<std::string> regex(std::string_view pattern) const {
    TRY(const std::string rewritten, rewritten_regex(pattern, RegexSyntax::rust, text_));
    return lark_regex(rewritten);
  }

  Result<std::string> joined(const RuleNode& of, std::string_view separator) const {
    if (of.parts.empty()) return std::string("\"\"");
    std::string out = "(";
    for (const RuleNode& part : of.parts) {
      if (out.size() > 1) out += separator;
      TRY(const std::string text, node(part));
      out += text;
    }
    return out + ")";
  }

  // Of a JSON string's inside, only what is one can be left over.
  Result<std::string> except(const RuleNode& of) const {
    TRY(const std::string inner, node(of.parts.front()));
    TRY(const std::string any, regex(kAnyText));
    return fmt::format("({} & ~({}))", any, inner);
  }

  Result<std::string> repeat(const RuleNode& of) const {
    TRY(std::string inner, node(of.parts.front()));
    if (of.parts.front().kind == RuleNode::Kind::repeat) inner = "(" + inner + ")";
    if (of.most == 0) return std::string("\"\"");
    if (of.least == 0 && of.most < 0) return inner + "*";
    if (of.least == 1 && of.most < 0) return inner + "+";
    if (of.least == 0 && of.most == 1) return inner + "?";
    return fmt::format("{}{{{},{}}}", inner, of.least, of.most < 0 ? "" : std::to_string(of.most));
  }

  const TextRuleSet& rules_;
  RegexText text_;
};

Result<std::string> regex_expression(std::string_view pattern, TextForm form) {
  const RegexText text = form == TextForm::raw ? RegexText::raw : RegexText::json_string;
  TRY(const std::string rewritten, rewritten_regex(pattern, RegexSyntax::rust, text));
  return lark_regex(rewritten);
}

Result<std::string> written(const GrammarCompiler& compiler, const TextRuleSet& rules, TextForm form) {
  TRY(std::string expression, LarkWriter(rules, form).write());
  TRY_OK(compiler.try_compile("start: " + expression));
  return expression;
}

// In few large terminals where that can be compiled, else as the client drew the borders.
Result<std::string> grammar_expression(const GrammarCompiler& compiler, Result<TextRuleSet> rules, TextForm form) {
  if (!rules) return tl::unexpected(std::move(rules).error());
  TRY_OK(check_terminals(*rules));
  TextRuleSet merged = *rules;
  write_out_ignored(merged);
  merge_terminals(merged, form == TextForm::raw ? Borders::as_they_are : Borders::before_escapes);
  if (auto expression = written(compiler, merged, form)) return expression;
  return written(compiler, *rules, form);
}

Result<std::string> checked_regex(const GrammarCompiler& compiler, std::string_view pattern, TextForm form) {
  TRY(std::string expression, regex_expression(pattern, form));
  if (form == TextForm::raw) expression = fmt::format("%lark {{\n{}start: {}\n}}", kNoForcing, expression);
  TRY_OK(compiler.try_compile("start: " + expression));
  return expression;
}

std::size_t parts_of(const RuleNode& node) {
  std::size_t count = 1;
  for (const RuleNode& part : node.parts) count += parts_of(part);
  return count;
}

// Parts that may be empty are all looked at for each token, so their number has a bound of its own.
Result<TextRuleSet> bounded(Result<TextRuleSet> rules) {
  if (!rules) return rules;
  std::size_t count = 0;
  for (const TextRuleSet::Rule& rule : rules->rules) count += parts_of(rule.body);
  for (const RuleNode& node : rules->ignored) count += parts_of(node);
  if (count <= limits::kTextParts) return rules;
  return fail(Code::invalid, fmt::format("the grammar has {} parts; at most {} are taken", count, limits::kTextParts));
}

Result<std::string> expression_of(const GrammarCompiler& compiler, const TextRule& rule, TextForm form) {
  switch (rule.syntax) {
    case TextSyntax::any: return regex_expression(kAnyText, form);
    case TextSyntax::regex:
      if (rule.definition.size() > limits::kRegexBytes)
        return fail(Code::invalid, fmt::format("the regular expression has {} bytes; at most {} are taken",
                                               rule.definition.size(), limits::kRegexBytes));
      return checked_regex(compiler, rule.definition, form);
    case TextSyntax::lark: return grammar_expression(compiler, bounded(read_lark(rule.definition)), form);
    case TextSyntax::gbnf: return grammar_expression(compiler, bounded(read_gbnf(rule.definition)), form);
  }
  return std::string();
}

Status check_definition(std::string_view definition) {
  if (definition.size() > limits::kTextRuleBytes)
    return fail(Code::too_large, fmt::format("the grammar has {} bytes; at most {} are taken", definition.size(),
                                             limits::kTextRuleBytes));
  if (!is_utf8(definition)) return fail(Code::invalid, "the grammar is not UTF-8");
  if (definition.find('\0') != std::string_view::npos) return fail(Code::invalid, "the grammar contains a NUL byte");
  return {};
}

}  // namespace

Result<std::string> text_expression(Compiler& compiler, const TextRule& rule, TextForm form) {
  auto* grammars = dynamic_cast<GrammarCompiler*>(&compiler);
  CHECK(grammars, "text_expression() needs a compiler made by Compiler::create");
  const Hash128 key =
      xxh3_128(fmt::format("{} {} {}", static_cast<int>(rule.syntax), static_cast<int>(form), rule.definition));
  if (auto known = grammars->known_expression(key)) return *std::move(known);
  TRY_OK(check_definition(rule.definition));
  std::string expression;
  TRY_OK(on_deep_stack([&]() -> Status {
    TRY(expression, expression_of(*grammars, rule, form));
    return {};
  }));
  grammars->remember_expression(key, expression);
  return expression;
}

// One terminal: as several, the longest of those that begin alike would hide the others.
Result<std::string> choice_expression(std::span<const std::string> choices) {
  if (choices.empty()) return fail(Code::invalid, "there is nothing to choose from");
  std::string regex;
  std::size_t bytes = 0;
  for (const std::string& choice : choices) {
    TRY_OK(check_definition(choice));
    bytes += choice.size();
    if (&choice != choices.data()) regex += '|';
    for (const char c : choice) {
      const auto byte = static_cast<unsigned char>(c);
      const bool plain = byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      regex += plain ? std::string(1, c) : fmt::format("\\x{:02X}", byte);
    }
    if (bytes > limits::kTextRuleBytes)
      return fail(Code::too_large, fmt::format("the choices have more than {} bytes", limits::kTextRuleBytes));
  }
  if (regex.find_first_not_of('|') == std::string::npos) return std::string("\"\"");
  return "/(?:" + regex + ")/";
}

}  // namespace kvern::constrain
