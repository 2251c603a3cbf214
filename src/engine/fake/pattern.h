// The regular expressions of a script: ECMAScript's everyday part, over bytes, in linear time.
//
// std::regex recurses once per byte and backtracks: a prompt of 30 KB overflows an 8 MB stack. This
// one steps through the text once, whatever the pattern.
//
// Supported: literals, . [..] \d \w \s (and \D \W \S) \n \t \r \xHH, ( ) (?: ) |, * + ? {m,n} and
// their lazy forms, \b \B, and ^ $ which match at line ends. Anything else is an error, never a
// literal. Thread: any; immutable.
#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvern::engine {

class Pattern {
 public:
  enum class Op { byte, split, jump, save, line_begin, line_end, word_edge, no_word_edge, match };
  struct Step {
    Op op = Op::match;
    int first = 0;   // split: tried first; jump: target; save: slot
    int second = 0;  // split: tried second
    std::bitset<256> bytes;
  };

  // Code::invalid with what is wrong and where.
  static Result<Pattern> compile(std::string_view source);

  int groups() const { return groups_; }

  // The groups of the leftmost match, [0] the whole of it; a group that took no part is empty.
  std::optional<std::vector<std::string>> search(std::string_view text) const;

 private:
  std::vector<Step> steps_;
  int groups_ = 0;
};

}  // namespace kvern::engine
