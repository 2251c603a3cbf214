// Where the borders between a grammar's terminals are.
//
// llguidance reads terminal by terminal, each as long as it can be, and does not go back: after "a.txt" and
// a backslash, a terminal that may go on with an escape hides the `\n` that would follow it. What does not
// take part in a recursion can be one terminal, and inside of one there are no such borders.
// Thread: the caller's.
#pragma once

#include "constrain/text_rules.h"

namespace kvern::constrain {

// Code::invalid when a terminal refers to itself or is too large for an automaton.
Status check_terminals(TextRuleSet& rules);

// What may be ignored between terminals becomes a part of the rules.
void write_out_ignored(TextRuleSet& rules);

enum class Borders {
  as_they_are,
  before_escapes  // no terminal beside a recursion may go on with an escape where it could have ended
};

// Makes terminals, as large as possible, of everything that is not recursive. Where something is ignored
// between terminals the texts would change: write it out first.
void merge_terminals(TextRuleSet& rules, Borders borders);

}  // namespace kvern::constrain
