#include "constrain/rule_cursor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/utf8.h"

namespace kvern::constrain {
namespace {

bool is_scalar(char32_t c) { return c < 0xD800 || (c > 0xDFFF && c <= 0x10FFFF); }

}  // namespace

char RuleCursor::next() {
  const char c = peek();
  if (at_end()) return c;
  if (c == '\n') ++line_;
  ++at_;
  return c;
}

void RuleCursor::skip(std::size_t count) {
  while (count-- > 0) next();
}

bool RuleCursor::take(std::string_view word) {
  if (!rest().starts_with(word)) return false;
  skip(word.size());
  return true;
}

void RuleCursor::skip_line() {
  while (!at_end() && peek() != '\n') ++at_;
}

Error RuleCursor::error(const std::string& what) const {
  return Error{Code::invalid, fmt::format("line {}: {}", line_, what), {}};
}

Result<int> RuleCursor::number() {
  int value = 0;
  if (peek() < '0' || peek() > '9') return tl::unexpected(error("a number is missing"));
  while (peek() >= '0' && peek() <= '9') {
    value = value * 10 + (next() - '0');
    if (value > limits::kTextRepeats)
      return tl::unexpected(error(fmt::format("at most {} repetitions are taken", limits::kTextRepeats)));
  }
  return value;
}

Result<std::string> RuleCursor::quoted() {
  std::string out;
  while (true) {
    if (at_end() || peek() == '\n') return tl::unexpected(error("a string is not closed"));
    const char c = next();
    if (c == '"') return out;
    if (c != '\\') {
      out += c;
      continue;
    }
    TRY(const char32_t escaped, escape("\"'/[]"));
    append_utf8(out, escaped);
  }
}

Result<char32_t> RuleCursor::escape(std::string_view also) {
  const char c = next();
  switch (c) {
    case 'n': return U'\n';
    case 'r': return U'\r';
    case 't': return U'\t';
    case 'f': return U'\f';
    case 'b': return U'\b';
    case 'v': return U'\v';
    case '\\': return U'\\';
    case 'x': return hex(2);
    case 'u': return hex(4);
    case 'U': return hex(8);
    default: break;
  }
  if (c != '\0' && also.find(c) != std::string_view::npos) return static_cast<char32_t>(c);
  return tl::unexpected(error("an unknown escape after a backslash"));
}

Result<char32_t> RuleCursor::hex(int digits) {
  char32_t value = 0;
  for (int i = 0; i < digits; ++i) {
    const int digit = hex_value(peek());
    if (digit < 0) return tl::unexpected(error(fmt::format("an escape needs {} hexadecimal digits", digits)));
    value = value * 16 + static_cast<char32_t>(digit);
    next();
  }
  if (!is_scalar(value)) return tl::unexpected(error("an escape is no character"));
  return value;
}

Result<char32_t> RuleCursor::character() {
  const auto lead = static_cast<unsigned char>(next());
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  char32_t value = lead & (0x3FU >> more);
  for (int i = 0; i < more; ++i) value = value << 6 | (static_cast<unsigned char>(next()) & 0x3FU);
  return value;
}

std::size_t RuleNames::index_of(const std::string& name, std::size_t line) {
  const auto [it, fresh] = indices_.try_emplace(name, rules_.rules.size());
  if (fresh) {
    rules_.rules.push_back({name, false, {}, line});
    defined_.push_back(false);
  }
  return it->second;
}

Status RuleNames::define(const RuleCursor& cursor, std::size_t index, RuleNode body) {
  TextRuleSet::Rule& rule = rules_.rules[index];
  if (defined_[index])
    return tl::unexpected(
        Error{Code::invalid, fmt::format("line {}: \"{}\" is defined twice", cursor.line(), rule.name), {}});
  defined_[index] = true;
  rule.body = std::move(body);
  if (rules_.rules.size() > limits::kTextRules)
    return fail(Code::too_large, fmt::format("the grammar has more than {} rules", limits::kTextRules));
  return {};
}

Status RuleNames::check_all_defined() const {
  for (std::size_t i = 0; i < rules_.rules.size(); ++i)
    if (!defined_[i])
      return fail(Code::invalid,
                  fmt::format("line {}: \"{}\" is not defined", rules_.rules[i].line, rules_.rules[i].name));
  return {};
}

RuleNode of_parts(RuleNode::Kind kind, std::vector<RuleNode> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  RuleNode node{kind};
  node.parts = std::move(parts);
  return node;
}

RuleNode repeated(RuleNode part, int least, int most) {
  RuleNode node{RuleNode::Kind::repeat};
  node.least = least;
  node.most = most;
  node.parts.push_back(std::move(part));
  return node;
}

std::string regex_character(char32_t c) { return fmt::format("\\x{{{:X}}}", static_cast<std::uint32_t>(c)); }

std::string caseless_regex(std::string_view text) {
  std::string out = "(?i:";
  for (RuleCursor cursor(text); !cursor.at_end();) out += regex_character(*cursor.character());
  return out + ")";
}

}  // namespace kvern::constrain
