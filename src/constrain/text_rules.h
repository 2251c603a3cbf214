// A client's grammar as a tree, whichever syntax it came in.
//
// Thread: any; plain values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvern::constrain {

struct RuleNode {
  enum class Kind {
    literal,   // text
    regex,     // text, in Rust's syntax
    rule,      // rules[index]
    sequence,  // parts one after the other; none: the empty text
    choice,    // one of parts
    both,      // what all parts match
    except,    // what parts[0] does not match
    repeat     // parts[0], least..most times; most -1: open
  };
  Kind kind = Kind::sequence;
  std::string text = {};
  std::size_t index = 0;
  int least = 0;
  int most = 0;
  std::vector<RuleNode> parts = {};
};

// A terminal is matched by one automaton, whole; it refers to terminals only and never to itself.
struct TextRuleSet {
  struct Rule {
    std::string name;
    bool terminal = false;
    RuleNode body = {};
    std::size_t line = 0;
  };
  std::vector<Rule> rules;
  std::size_t start = 0;
  std::vector<RuleNode> ignored;  // may stand between the terminals of a rule
};

// Both refuse what they do not know by name and line, and nesting or repetition beyond the limits.
Result<TextRuleSet> read_lark(std::string_view text);
Result<TextRuleSet> read_gbnf(std::string_view text);

// The regular expression of a text, letters in either case.
std::string caseless_regex(std::string_view text);

// One character in a class, or outside of one.
std::string regex_character(char32_t c);

}  // namespace kvern::constrain
