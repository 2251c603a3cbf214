// Lark as clients write it -> a tree of rules. What Lark says about parse trees (aliases, priorities,
// `?` and `!` before a rule) does not change which texts it matches, and is dropped.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "constrain/rule_reader.h"

namespace kvern::constrain {
namespace {

using Kind = RuleNode::Kind;

struct CommonTerminal {
  std::string_view name;
  std::string_view regex;
};

// What `%import common.X` brings.
constexpr std::array<CommonTerminal, 24> kCommon = {{
    {"DIGIT", "[0-9]"},
    {"HEXDIGIT", "[0-9a-fA-F]"},
    {"INT", "[0-9]+"},
    {"SIGNED_INT", "[+-]?[0-9]+"},
    {"DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+"},
    {"_EXP", "[eE][+-]?[0-9]+"},
    {"FLOAT", "[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?"},
    {"SIGNED_FLOAT", "[+-]?(?:[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"},
    {"NUMBER", "[0-9]+(?:[eE][+-]?[0-9]+)?|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?"},
    {"SIGNED_NUMBER", "[+-]?(?:[0-9]+(?:[eE][+-]?[0-9]+)?|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"},
    {"ESCAPED_STRING", "\"(?:[^\"\\\\\\n]|\\\\.)*\""},
    {"LCASE_LETTER", "[a-z]"},
    {"UCASE_LETTER", "[A-Z]"},
    {"LETTER", "[a-zA-Z]"},
    {"WORD", "[a-zA-Z]+"},
    {"CNAME", "[_a-zA-Z][_a-zA-Z0-9]*"},
    {"WS_INLINE", "[ \\t]+"},
    {"WS", "[ \\t\\f\\r\\n]+"},
    {"CR", "\\r"},
    {"LF", "\\n"},
    {"NEWLINE", "(?:\\r?\\n)+"},
    {"SH_COMMENT", "#[^\\n]*"},
    {"CPP_COMMENT", "//[^\\n]*"},
    {"SQL_COMMENT", "--[^\\n]*"},
}};

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_name_char(char c) { return is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c == '_'; }

class LarkReader final : public RuleReader {
 public:
  explicit LarkReader(std::string_view text) : RuleReader(text) {}

  Result<TextRuleSet> read() {
    while (true) {
      skip_lines();
      if (cursor_.at_end()) break;
      TRY_OK(cursor_.peek() == '%' ? statement() : definition());
      skip_blanks();
      if (!cursor_.at_end() && cursor_.peek() != '\n') return error("the line goes on where a rule has ended");
    }
    return finish("start");
  }

 private:
  void skip_blanks() override {
    while (true) {
      while (cursor_.peek() == ' ' || cursor_.peek() == '\t' || cursor_.peek() == '\r' || cursor_.peek() == '\f')
        cursor_.next();
      if (cursor_.peek() != '#' && !cursor_.rest().starts_with("//")) return;
      cursor_.skip_line();
    }
  }

  Result<std::string> name() {
    std::string out;
    while (is_name_char(cursor_.peek())) out += cursor_.next();
    const std::size_t letter = out.find_first_not_of('_');
    if (letter == std::string::npos || letter > 2 || !(is_lower(out[letter]) || is_upper(out[letter])))
      return error(out.empty() ? "a name is missing" : fmt::format("\"{}\" is no name of a rule", out));
    return out;
  }

  // Upper-case names are terminals.
  static bool is_terminal(const std::string& name) { return is_upper(name[name.find_first_not_of('_')]); }

  std::size_t index_of(const std::string& name) {
    const std::size_t index = names_.index_of(name, cursor_.line());
    rules_.rules[index].terminal = is_terminal(name);
    return index;
  }

  Status definition() {
    while (cursor_.peek() == '?' || cursor_.peek() == '!') cursor_.next();
    TRY(const std::string defined, name());
    if (cursor_.peek() == '{') return error("templates are not supported");
    if (cursor_.peek() == '[' || cursor_.rest().starts_with("::"))
      return error("attributes of rules are not supported");
    if (cursor_.take(".")) {  // a priority
      cursor_.take("-");
      TRY_OK(cursor_.number());
    }
    skip_blanks();
    if (!cursor_.take(":")) return error(fmt::format("a \":\" is missing after \"{}\"", defined));
    const std::size_t index = index_of(defined);
    rules_.rules[index].line = cursor_.line();
    in_terminal_ = rules_.rules[index].terminal;
    TRY(RuleNode body, choice());
    return names_.define(cursor_, index, std::move(body));
  }

  Status statement() {
    if (cursor_.take("%ignore")) {
      in_terminal_ = true;
      TRY(RuleNode body, choice());
      rules_.ignored.push_back(std::move(body));
      return {};
    }
    if (cursor_.take("%import")) return import();
    std::string word(1, cursor_.next());
    while (is_name_char(cursor_.peek())) word += cursor_.next();
    return error(fmt::format("{} is not supported", word));
  }

  Status import() {
    skip_blanks();
    if (!cursor_.take("common")) return error("only %import common is supported");
    skip_blanks();
    if (cursor_.take("(")) {
      do {
        skip_blanks();
        TRY(const std::string imported, name());
        TRY_OK(import_one(imported, imported));
        skip_blanks();
      } while (cursor_.take(","));
      if (!cursor_.take(")")) return error("a \")\" is missing");
      return {};
    }
    if (!cursor_.take(".")) return error("%import common needs a name");
    TRY(const std::string imported, name());
    std::string as = imported;
    skip_blanks();
    if (cursor_.take("->")) {
      skip_blanks();
      TRY(as, name());
      if (!is_terminal(as)) return error("an imported terminal needs an upper-case name");
    }
    return import_one(imported, as);
  }

  Status import_one(std::string_view imported, const std::string& as) {
    for (const CommonTerminal& terminal : kCommon)
      if (terminal.name == imported)
        return names_.define(cursor_, index_of(as), RuleNode{Kind::regex, std::string(terminal.regex)});
    return error(fmt::format("common.{} is not known", imported));
  }

  Result<RuleNode> choice() override {
    std::vector<RuleNode> options;
    do {
      TRY(RuleNode option, conjunction());
      options.push_back(std::move(option));
      if (!cursor_.take("->")) continue;
      skip_blanks();
      TRY_OK(name());
      skip_to_part();
    } while (cursor_.take("|"));
    return of_parts(Kind::choice, std::move(options));
  }

  Result<RuleNode> conjunction() {
    std::vector<RuleNode> parts;
    do {
      TRY(RuleNode part, sequence());
      parts.push_back(std::move(part));
    } while (cursor_.take("&"));
    if (parts.size() > 1 && !in_terminal_) return error("\"&\" is for terminals only");
    return of_parts(Kind::both, std::move(parts));
  }

  bool at_sequence_end() const {
    const char c = cursor_.peek();
    return cursor_.at_end() || c == '\n' || c == '|' || c == ')' || c == ']' || c == '&' ||
           cursor_.rest().starts_with("->");
  }

  Result<RuleNode> sequence() {
    std::vector<RuleNode> parts;
    for (skip_to_part(); !at_sequence_end(); skip_to_part()) {
      TRY(RuleNode part, item());
      parts.push_back(std::move(part));
    }
    return of_parts(Kind::sequence, std::move(parts));
  }

  Result<RuleNode> item() {
    TRY(RuleNode part, atom());
    skip_blanks();
    if (cursor_.take("?")) return repeated(std::move(part), 0, 1);
    if (cursor_.take("*")) return repeated(std::move(part), 0, -1);
    if (cursor_.take("+")) return repeated(std::move(part), 1, -1);
    if (cursor_.peek() == '{') return braces(std::move(part));
    if (cursor_.peek() != '~') return part;
    cursor_.next();
    skip_blanks();
    TRY(const int least, cursor_.number());
    int most = least;
    skip_blanks();
    if (cursor_.take("..")) {
      skip_blanks();
      TRY(most, cursor_.number());
    }
    return repetition(std::move(part), least, most);
  }

  Result<RuleNode> braces(RuleNode part) {
    cursor_.next();
    skip_blanks();
    int least = 0;
    if (cursor_.peek() != ',') {
      if (cursor_.peek() < '0' || cursor_.peek() > '9') return error("templates are not supported");
      TRY(least, cursor_.number());
    }
    int most = least;
    TRY_OK(close_braces(least, most));
    return repetition(std::move(part), least, most);
  }

  Result<RuleNode> atom() {
    switch (cursor_.peek()) {
      case '(': return group(')');
      case '[': {
        TRY(RuleNode inner, group(']'));
        return repeated(std::move(inner), 0, 1);
      }
      case '"': return string();
      case '/': return regex();
      case '~': return negation();
      case '<': return error("special tokens are not supported");
      case '@': return error("references to other grammars are not supported");
      case '%': return error("%json, %regex and %lark inside a rule are not supported");
      default: break;
    }
    if (!is_name_char(cursor_.peek()))
      return error(fmt::format("\"{}\" is not expected here", std::string(cursor_.rest().substr(0, 1))));
    TRY(const std::string referred, name());
    if (cursor_.rest().starts_with("::")) return error("parameters of rules are not supported");
    if (in_terminal_ && !is_terminal(referred))
      return error(fmt::format("a terminal cannot refer to the rule \"{}\"", referred));
    RuleNode node{Kind::rule};
    node.index = index_of(referred);
    return node;
  }

  Result<RuleNode> negation() {
    cursor_.next();
    if (!in_terminal_) return error("\"~\" is for terminals only");
    if (depth_ >= kRuleNesting) return error("the brackets are nested too deep");
    ++depth_;
    TRY(RuleNode inner, atom());
    --depth_;
    RuleNode node{Kind::except};
    node.parts.push_back(std::move(inner));
    return node;
  }

  Result<RuleNode> string() {
    cursor_.next();
    TRY(std::string text, cursor_.quoted());
    if (cursor_.peek() == 'i' && !is_name_char(cursor_.peek(1))) {
      cursor_.next();
      return RuleNode{Kind::regex, caseless_regex(text)};
    }
    skip_blanks();
    if (!cursor_.rest().starts_with("..")) return RuleNode{Kind::literal, std::move(text)};
    cursor_.skip(2);
    skip_blanks();
    if (!cursor_.take("\"")) return error("a range needs two strings");
    TRY(const std::string last, cursor_.quoted());
    RuleCursor from(text);
    RuleCursor to(last);
    const char32_t low = from.at_end() ? 1 : *from.character();
    const char32_t high = to.at_end() ? 0 : *to.character();
    if (!from.at_end() || !to.at_end() || low > high) return error("a range goes from one character to a later one");
    return RuleNode{Kind::regex, "[" + regex_character(low) + "-" + regex_character(high) + "]"};
  }

  Result<RuleNode> regex() {
    cursor_.next();
    std::string text;
    while (cursor_.peek() != '/') {
      if (cursor_.at_end()) return error("a regular expression is not closed");
      const char c = cursor_.next();
      if (c != '\\' || cursor_.peek() != '/') text += c;
      if (c == '\\' && !cursor_.at_end()) text += cursor_.next();
    }
    cursor_.next();
    std::string flags;
    while (std::string_view("imslux").find(cursor_.peek()) != std::string_view::npos && cursor_.peek() != '\0')
      flags += cursor_.next();
    if (flags.find('l') != std::string::npos) return error("the flag l of a regular expression is not supported");
    if (!flags.empty()) text = fmt::format("(?{}:{}{})", flags, text, flags.find('x') == std::string::npos ? "" : "\n");
    return RuleNode{Kind::regex, std::move(text)};
  }

  bool in_terminal_ = false;
};

}  // namespace

Result<TextRuleSet> read_lark(std::string_view text) { return LarkReader(text).read(); }

}  // namespace kvern::constrain
