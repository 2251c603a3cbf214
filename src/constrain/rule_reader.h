// What reading Lark and reading GBNF have in common: rules on lines, brackets and repetitions.
//
// Thread: the caller's.
#pragma once

#include <string>
#include <string_view>

#include "constrain/rule_cursor.h"

namespace kvern::constrain {

class RuleReader {
 public:
  RuleReader(const RuleReader&) = delete;
  RuleReader& operator=(const RuleReader&) = delete;

 protected:
  explicit RuleReader(std::string_view text) : cursor_(text), names_(rules_) {}
  ~RuleReader() = default;

  virtual void skip_blanks() = 0;  // within a line, comments too
  virtual Result<RuleNode> choice() = 0;

  tl::unexpected<Error> error(const std::string& what) const { return tl::unexpected(cursor_.error(what)); }

  void skip_lines();
  // Inside brackets lines do not count; outside, a line that begins with "|" goes on with the rule.
  void skip_to_part();

  // From the opening bracket on.
  Result<RuleNode> group(char close);

  // The rest of {least}, {least,} or {least,most}, from behind `least`. most: -1 when it is open.
  Status close_braces(int least, int& most);
  Result<RuleNode> repetition(RuleNode part, int least, int most) const;

  // All rules, when each one is defined and `start` is among them.
  Result<TextRuleSet> finish(std::string_view start);

  RuleCursor cursor_;
  TextRuleSet rules_;
  RuleNames names_;
  int depth_ = 0;  // of brackets
};

}  // namespace kvern::constrain
