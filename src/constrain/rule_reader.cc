#include "constrain/rule_reader.h"

#include <fmt/format.h>

#include <utility>

namespace kvern::constrain {

void RuleReader::skip_lines() {
  skip_blanks();
  while (cursor_.peek() == '\n') {
    cursor_.next();
    skip_blanks();
  }
}

void RuleReader::skip_to_part() {
  if (depth_ > 0) return skip_lines();
  skip_blanks();
  if (cursor_.peek() != '\n') return;
  const RuleCursor line_end = cursor_;
  skip_lines();
  if (cursor_.peek() != '|') cursor_ = line_end;
}

Result<RuleNode> RuleReader::group(char close) {
  if (depth_ >= kRuleNesting) return error("the brackets are nested too deep");
  cursor_.next();
  ++depth_;
  TRY(RuleNode inner, choice());
  skip_lines();
  --depth_;
  if (!cursor_.take(std::string_view(&close, 1))) return error(fmt::format("a \"{}\" is missing", close));
  return inner;
}

Status RuleReader::close_braces(int least, int& most) {
  most = least;
  skip_blanks();
  if (cursor_.take(",")) {
    most = -1;
    skip_blanks();
    if (cursor_.peek() != '}') {
      TRY(most, cursor_.number());
    }
  }
  skip_blanks();
  if (!cursor_.take("}")) return error("a \"}\" is missing");
  return {};
}

Result<RuleNode> RuleReader::repetition(RuleNode part, int least, int most) const {
  if (most >= 0 && most < least) return error("a repetition ends below its beginning");
  return repeated(std::move(part), least, most);
}

Result<TextRuleSet> RuleReader::finish(std::string_view start) {
  TRY_OK(names_.check_all_defined());
  for (std::size_t i = 0; i < rules_.rules.size(); ++i) {
    if (rules_.rules[i].name != start) continue;
    rules_.start = i;
    return std::move(rules_);
  }
  return fail(Code::invalid, fmt::format("the grammar has no rule \"{}\"", start));
}

}  // namespace kvern::constrain
