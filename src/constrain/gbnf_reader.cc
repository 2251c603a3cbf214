// GBNF, llama.cpp's grammar format -> a tree of rules.
#include <fmt/format.h>

#include <utility>

#include "constrain/rule_reader.h"

namespace kvern::constrain {
namespace {

using Kind = RuleNode::Kind;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class GbnfReader final : public RuleReader {
 public:
  explicit GbnfReader(std::string_view text) : RuleReader(text) {}

  Result<TextRuleSet> read() {
    for (skip_lines(); !cursor_.at_end(); skip_lines()) {
      TRY_OK(definition());
      if (!cursor_.at_end() && cursor_.peek() != '\n') return error("the line goes on where a rule has ended");
    }
    return finish("root");
  }

 private:
  void skip_blanks() override {
    while (cursor_.peek() == ' ' || cursor_.peek() == '\t' || cursor_.peek() == '\r') cursor_.next();
    if (cursor_.peek() == '#') cursor_.skip_line();
  }

  std::string name() {
    std::string out;
    while (is_name_char(cursor_.peek())) out += cursor_.next();
    return out;
  }

  Status definition() {
    const std::string defined = name();
    if (defined.empty()) return error("the name of a rule is missing");
    skip_blanks();
    if (!cursor_.take("::=")) return error(fmt::format("a \"::=\" is missing after \"{}\"", defined));
    const std::size_t index = names_.index_of(defined, cursor_.line());
    rules_.rules[index].line = cursor_.line();
    skip_lines();
    TRY(RuleNode body, choice());
    return names_.define(cursor_, index, std::move(body));
  }

  Result<RuleNode> choice() override {
    std::vector<RuleNode> options;
    do {
      TRY(RuleNode option, sequence());
      options.push_back(std::move(option));
      if (!cursor_.take("|")) break;
      skip_lines();
    } while (true);
    return of_parts(Kind::choice, std::move(options));
  }

  Result<RuleNode> sequence() {
    std::vector<RuleNode> parts;
    for (skip_to_part(); !cursor_.at_end(); skip_to_part()) {
      const char c = cursor_.peek();
      if (c == '\n' || c == '|' || c == ')') break;
      TRY(RuleNode part, atom());
      TRY(part, with_repetitions(std::move(part)));
      parts.push_back(std::move(part));
    }
    return of_parts(Kind::sequence, std::move(parts));
  }

  Result<RuleNode> with_repetitions(RuleNode part) {
    for (int count = 0;; ++count) {
      skip_blanks();
      const char c = cursor_.peek();
      if (c != '*' && c != '+' && c != '?' && c != '{') return part;
      if (count >= kRuleNesting) return error("too many repetitions of a repetition");
      cursor_.next();
      int least = c == '+' ? 1 : 0;
      int most = c == '?' ? 1 : -1;
      if (c == '{') {
        skip_blanks();
        TRY(least, cursor_.number());
        TRY_OK(close_braces(least, most));
      }
      TRY(part, repetition(std::move(part), least, most));
    }
  }

  Result<RuleNode> atom() {
    const char c = cursor_.peek();
    if (c == '"') {
      cursor_.next();
      TRY(std::string text, cursor_.quoted());
      return RuleNode{Kind::literal, std::move(text)};
    }
    if (c == '[') return character_class();
    if (c == '(') return group(')');
    if (cursor_.take(".")) return RuleNode{Kind::regex, "(?s:.)"};
    if (c == '<' || c == '!') return error("tokens in a grammar are not supported");
    if (!is_name_char(c)) return error(fmt::format("\"{}\" is not expected here", shown(c)));
    RuleNode node{Kind::rule};
    const std::size_t line = cursor_.line();
    node.index = names_.index_of(name(), line);
    return node;
  }

  static std::string shown(char c) { return static_cast<unsigned char>(c) < 0x80 ? std::string(1, c) : "a character"; }

  Result<RuleNode> character_class() {
    cursor_.next();
    std::string regex = cursor_.take("^") ? "[^" : "[";
    const std::size_t empty = regex.size();
    while (cursor_.peek() != ']') {
      TRY(const char32_t first, class_character());
      char32_t last = first;
      if (cursor_.peek() == '-' && cursor_.peek(1) != ']') {
        cursor_.next();
        TRY(last, class_character());
      }
      if (last < first) return error("a range in a class ends before its beginning");
      regex += regex_character(first) + "-" + regex_character(last);
    }
    cursor_.next();
    if (regex.size() == empty) return error("a class is empty");
    return RuleNode{Kind::regex, regex + "]"};
  }

  Result<char32_t> class_character() {
    if (cursor_.at_end() || cursor_.peek() == '\n') return error("a class is not closed");
    if (cursor_.take("\\")) return cursor_.escape("\"[]^-/");
    return cursor_.character();
  }
};

}  // namespace

Result<TextRuleSet> read_gbnf(std::string_view text) { return GbnfReader(text).read(); }

}  // namespace kvern::constrain
