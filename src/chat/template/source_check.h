// Refuses templates whose nesting would overflow the engine's recursive parser and runtime.
#pragma once

#include <cstddef>
#include <vector>

#include "chat/template/engine.h"

namespace kvern::chat {

// The deepest the syntax tree can become, from the tokens alone: open blocks and brackets, and the
// operators before this point of each open expression (a chain like `a ~ b ~ c` nests to the left).
// Never less than the real depth as far as the parser would get.
struct Nesting {
  std::size_t depth = 0;
  std::size_t position = 0;  // byte where it is reached
};

Nesting deepest_nesting(const std::vector<jinja::token>& tokens);

}  // namespace kvern::chat
