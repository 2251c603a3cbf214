#include "constrain/terminals.h"

#include <fmt/format.h>
#include <kvern_rust.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

#include "constrain/rule_cursor.h"

namespace kvern::constrain {
namespace {

using Kind = RuleNode::Kind;

// All references followed, repetitions counted. Merging costs the square of the depth.
constexpr std::uint64_t kMergedParts = 10'000;
constexpr std::uint64_t kTerminalParts = 100'000;
constexpr std::uint64_t kRuleParts = 1'000'000;
constexpr std::uint64_t kSplitParts = 200'000;  // of terminals taken apart, all together
constexpr int kMergedDepth = 40;
constexpr int kTerminalDepth = 200;

class Terminals {
 public:
  explicit Terminals(TextRuleSet& rules, Borders borders = Borders::as_they_are) : rules_(rules), borders_(borders) {}

  Status check() {
    measure();
    for (std::size_t i = 0; i < rules_.rules.size(); ++i) {
      const TextRuleSet::Rule& rule = rules_.rules[i];
      const Measure& measured = measures_[i];
      if (rule.terminal && measured.recursive)
        return fail(Code::invalid, fmt::format("line {}: the terminal \"{}\" refers to itself", rule.line, rule.name));
      const bool large = measured.parts > (rule.terminal ? kTerminalParts : kRuleParts) ||
                         (rule.terminal && measured.depth > kTerminalDepth);
      if (large) return fail(Code::too_large, fmt::format("line {}: \"{}\" is too large", rule.line, rule.name));
    }
    return {};
  }

  void merge() {
    const std::size_t count = rules_.rules.size();
    for (std::size_t i = 0; i < count; ++i) rules_.rules[i].terminal = is_small(measures_[i]);
    for (std::size_t i = 0; i < count; ++i) {
      if (rules_.rules[i].terminal) continue;
      line_ = rules_.rules[i].line;
      RuleNode body = std::move(rules_.rules[i].body);
      hoist(body);
      rules_.rules[i].body = std::move(body);
    }
  }

 private:
  struct Measure {
    std::uint64_t parts = 1;
    int depth = 1;
    bool recursive = true;
  };

  static bool is_small(const Measure& of) {
    return !of.recursive && of.parts <= kMergedParts && of.depth <= kMergedDepth;
  }

  static void referred(const RuleNode& node, std::vector<std::size_t>& out) {
    if (node.kind == Kind::rule) out.push_back(node.index);
    for (const RuleNode& part : node.parts) referred(part, out);
  }

  // From the leaves on; what is never reached is recursive, or refers to what is.
  void measure() {
    const std::size_t count = rules_.rules.size();
    measures_.assign(count, {});
    std::vector<std::vector<std::size_t>> users(count);
    std::vector<std::size_t> waiting_for(count, 0);
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<std::size_t> all;
      referred(rules_.rules[i].body, all);
      std::sort(all.begin(), all.end());
      all.erase(std::unique(all.begin(), all.end()), all.end());
      for (const std::size_t other : all) users[other].push_back(i);
      waiting_for[i] = all.size();
      if (all.empty()) ready.push_back(i);
    }
    while (!ready.empty()) {
      const std::size_t rule = ready.back();
      ready.pop_back();
      measures_[rule] = measure_of(rules_.rules[rule].body);
      for (const std::size_t user : users[rule])
        if (--waiting_for[user] == 0) ready.push_back(user);
    }
    for (std::size_t i = 0; i < count; ++i)
      if (measures_[i].recursive) measures_[i].parts = measure_of(rules_.rules[i].body).parts;
  }

  Measure measure_of(const RuleNode& node) const {
    if (node.kind == Kind::rule) {
      Measure of = measures_[node.index];
      ++of.depth;
      return of;
    }
    Measure sum{1 + node.text.size(), 1, false};
    for (const RuleNode& part : node.parts) {
      const Measure of = measure_of(part);
      sum.parts += of.parts;
      sum.depth = std::max(sum.depth, of.depth);
      sum.recursive = sum.recursive || of.recursive;
    }
    if (node.kind == Kind::repeat) sum.parts *= static_cast<std::uint64_t>(std::max({node.least, node.most, 1}));
    sum.parts = std::min(sum.parts, kRuleParts + 1);
    return sum;
  }

  RuleNode terminal_of(RuleNode node) {
    if (node.kind == Kind::rule) return node;
    rules_.rules.push_back({"", true, std::move(node), line_});
    measures_.push_back(measure_of(rules_.rules.back().body));
    RuleNode reference{Kind::rule};
    reference.index = rules_.rules.size() - 1;
    return reference;
  }

  // Neighbours in a sequence, and alternatives, that are small become one terminal.
  void hoist(RuleNode& node) {
    if (is_small(measure_of(node))) {
      node = closed(std::move(node));
      return;
    }
    if (node.kind != Kind::sequence && node.kind != Kind::choice) {
      for (RuleNode& part : node.parts) hoist(part);
      return;
    }
    std::vector<RuleNode> parts;
    std::vector<RuleNode> run;
    const auto end_run = [&] {
      if (!run.empty()) parts.push_back(closed(of_parts(node.kind, std::move(run))));
      run.clear();
    };
    for (RuleNode& part : node.parts) {
      if (is_small(measure_of(part))) {
        run.push_back(std::move(part));
        continue;
      }
      if (node.kind == Kind::sequence) end_run();
      hoist(part);
      parts.push_back(std::move(part));
    }
    end_run();
    node.parts = std::move(parts);
  }

  // One terminal; or, where its end is open, the longest beginning that is not, and the rest in pieces.
  RuleNode closed(RuleNode node) {
    if (borders_ == Borders::as_they_are || !is_open(node)) return terminal_of(std::move(node));
    split_parts_ += measure_of(node).parts;
    if (split_parts_ > kSplitParts) return terminal_of(std::move(node));
    if (node.kind == Kind::rule) return closed(rules_.rules[node.index].body);
    if (node.kind == Kind::regex) return split_regex(std::move(node));
    if (node.kind != Kind::sequence) {
      for (RuleNode& part : node.parts) part = closed(std::move(part));
      return node;
    }
    std::size_t count = node.parts.size();
    while (count > 0 && is_open_sequence(node.parts, count)) --count;
    std::vector<RuleNode> parts;
    const auto rest = node.parts.begin() + static_cast<std::ptrdiff_t>(count);
    if (count > 0)
      parts.push_back(terminal_of(
          of_parts(Kind::sequence, {std::make_move_iterator(node.parts.begin()), std::make_move_iterator(rest)})));
    for (auto part = rest; part != node.parts.end(); ++part) parts.push_back(closed(std::move(*part)));
    return of_parts(Kind::sequence, std::move(parts));
  }

  // "#[^\n]*" as "#" and many of: a run of plain characters, an escape. A group repeated at the end likewise.
  RuleNode split_regex(RuleNode node) {
    const std::string_view text = node.text;
    if (text.size() < 2 || (text.back() != '+' && text.back() != '*')) return terminal_of(std::move(node));
    const int least = text.back() == '+' ? 1 : 0;
    const std::string_view body = text.substr(0, text.size() - 1);
    if (body.starts_with("(?:") && body.find_first_of("()|", 1) == body.size() - 1)
      return repeated(closed(RuleNode{Kind::regex, std::string(body)}), least, -1);
    std::size_t begin = body.size() - 1;  // of the class
    std::string members = "[^\\n]";
    if (body.back() == ']') {
      begin = body.rfind('[');
      if (begin == std::string_view::npos) return terminal_of(std::move(node));
      members = body.substr(begin);
    } else if (body.back() != '.') {
      return terminal_of(std::move(node));
    }
    const std::string_view before = body.substr(0, begin);
    const bool is_certain = before.find_first_of("|()[\\?") == std::string_view::npos && !members.ends_with("\\]");
    if (!is_certain) return terminal_of(std::move(node));
    constexpr const char* kEscaped = "\\x00-\\x1F\"\\\\";
    std::vector<RuleNode> either;
    either.push_back(terminal_of(RuleNode{Kind::regex, fmt::format("[{}&&[^{}]]+", members, kEscaped)}));
    either.push_back(terminal_of(RuleNode{Kind::regex, fmt::format("[{}&&[{}]]", members, kEscaped)}));
    RuleNode end = repeated(of_parts(Kind::choice, std::move(either)), least, -1);
    if (before.empty()) return end;
    std::vector<RuleNode> parts;
    parts.push_back(terminal_of(RuleNode{Kind::regex, std::string(before)}));
    parts.push_back(std::move(end));
    return of_parts(Kind::sequence, std::move(parts));
  }

  static bool has(const RuleNode& regex, std::int32_t trait) {
    const auto* text = reinterpret_cast<const std::uint8_t*>(regex.text.data());
    return (kv_regex_traits(text, regex.text.size()) & trait) != 0;
  }

  bool is_nullable(const RuleNode& node) const {
    const auto nullable = [this](const RuleNode& part) { return is_nullable(part); };
    switch (node.kind) {
      case Kind::literal: return node.text.empty();
      case Kind::regex: return has(node, KV_REGEX_NULLABLE);
      case Kind::rule: return is_nullable(rules_.rules[node.index].body);
      case Kind::sequence: return std::all_of(node.parts.begin(), node.parts.end(), nullable);
      case Kind::choice: return std::any_of(node.parts.begin(), node.parts.end(), nullable);
      case Kind::repeat: return node.least == 0 || is_nullable(node.parts.front());
      default: return true;
    }
  }

  bool holds_escape(const RuleNode& node) const {
    if (node.kind == Kind::regex) return has(node, KV_REGEX_ESCAPES);
    if (node.kind == Kind::rule) return holds_escape(rules_.rules[node.index].body);
    if (node.kind == Kind::except) return true;
    const auto escaped = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; };
    return std::any_of(node.text.begin(), node.text.end(), escaped) ||
           std::any_of(node.parts.begin(), node.parts.end(),
                       [this](const RuleNode& part) { return holds_escape(part); });
  }

  bool is_open_sequence(const std::vector<RuleNode>& parts, std::size_t count) const {
    while (count-- > 0) {
      if (is_open(parts[count])) return true;
      if (!is_nullable(parts[count])) return false;
    }
    return false;
  }

  // Whether a match may go on with an escape and still be one.
  bool is_open(const RuleNode& node) const {
    switch (node.kind) {
      case Kind::literal: return false;
      case Kind::regex: return has(node, KV_REGEX_OPEN);
      case Kind::rule: return is_open(rules_.rules[node.index].body);
      case Kind::sequence: return is_open_sequence(node.parts, node.parts.size());
      case Kind::choice:
        return std::any_of(node.parts.begin(), node.parts.end(),
                           [this](const RuleNode& part) { return is_open(part); });
      case Kind::repeat:
        return is_open(node.parts.front()) || (node.least != node.most && holds_escape(node.parts.front()));
      default: return true;
    }
  }

  TextRuleSet& rules_;
  Borders borders_;
  std::uint64_t split_parts_ = 0;
  std::vector<Measure> measures_;
  std::size_t line_ = 0;
};

// `part` and whatever may be ignored after it.
RuleNode with_ignored(RuleNode part, const RuleNode& ignored) {
  std::vector<RuleNode> parts;
  parts.push_back(std::move(part));
  parts.push_back(ignored);
  return of_parts(Kind::sequence, std::move(parts));
}

void write_out(RuleNode& node, const TextRuleSet& rules, const RuleNode& ignored) {
  const bool is_terminal = node.kind == Kind::literal || node.kind == Kind::regex ||
                           (node.kind == Kind::rule && rules.rules[node.index].terminal);
  if (is_terminal) {
    node = with_ignored(std::move(node), ignored);
    return;
  }
  for (RuleNode& part : node.parts) write_out(part, rules, ignored);
}

}  // namespace

Status check_terminals(TextRuleSet& rules) { return Terminals(rules).check(); }

// What is ignored becomes a terminal of its own, so that it is written once however often it may stand.
void write_out_ignored(TextRuleSet& rules) {
  if (rules.ignored.empty()) return;
  RuleNode any = repeated(of_parts(Kind::choice, std::move(rules.ignored)), 0, -1);
  rules.ignored.clear();
  rules.rules.push_back({"", true, std::move(any), 1});
  RuleNode ignored{Kind::rule};
  ignored.index = rules.rules.size() - 1;
  for (TextRuleSet::Rule& rule : rules.rules)
    if (!rule.terminal) write_out(rule.body, rules, ignored);
  std::vector<RuleNode> parts;
  parts.push_back(ignored);
  parts.push_back(RuleNode{Kind::rule});
  parts.back().index = rules.start;
  rules.rules.push_back({"", false, of_parts(Kind::sequence, std::move(parts)), 1});
  rules.start = rules.rules.size() - 1;
}

void merge_terminals(TextRuleSet& rules, Borders borders) {
  Terminals terminals(rules, borders);
  if (terminals.check()) terminals.merge();
}

}  // namespace kvern::constrain
