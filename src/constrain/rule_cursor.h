// A place in the text of a Lark or GBNF grammar, its line, names and escapes.
//
// Thread: the caller's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "constrain/text_rules.h"

namespace kvern::constrain {

inline constexpr int kRuleNesting = 20;  // llguidance stops at 30, and the grammar around has some of its own

class RuleCursor {
 public:
  explicit RuleCursor(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  std::string_view rest() const { return text_.substr(at_); }
  std::size_t line() const { return line_; }

  char next();
  void skip(std::size_t count);
  bool take(std::string_view word);  // only when it is there
  void skip_line();                  // up to the line's end, which stays

  Error error(const std::string& what) const;
  Result<int> number();  // 0..limits::kTextRepeats
  // A quoted text after its opening quote, escapes resolved.
  Result<std::string> quoted();
  // After a backslash. `also` lists characters that stand for themselves.
  Result<char32_t> escape(std::string_view also);
  Result<char32_t> character();  // one, as it is

 private:
  Result<char32_t> hex(int digits);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

// Rules by name, in the order in which they were first seen.
class RuleNames {
 public:
  explicit RuleNames(TextRuleSet& rules) : rules_(rules) {}
  // The rule's index; a rule only spoken of so far has no body yet.
  std::size_t index_of(const std::string& name, std::size_t line);
  Status define(const RuleCursor& cursor, std::size_t index, RuleNode body);
  Status check_all_defined() const;

 private:
  TextRuleSet& rules_;
  std::unordered_map<std::string, std::size_t> indices_;
  std::vector<bool> defined_;
};

// A list of one is that one.
RuleNode of_parts(RuleNode::Kind kind, std::vector<RuleNode> parts);
RuleNode repeated(RuleNode part, int least, int most);

}  // namespace kvern::constrain
