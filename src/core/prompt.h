// A rendered and tokenised prompt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/vocab.h"

namespace kvern {

struct Prompt {
  std::vector<TokenId> tokens;

  // Token counts after which something ends that other prompts may share: the head (system and
  // tools), each turn, the prompt before the assistant header. Ascending, each <= tokens.size().
  std::vector<std::int32_t> boundaries;
};

// What the generated text must look like. Travels as text, compiled where it is used.
struct ConstraintSpec {
  std::string lark;  // a llguidance Lark grammar over the whole turn; empty: unconstrained

  // Logged when parts of a schema had to be relaxed: "tool Edit: /properties/x: not".
  std::vector<std::string> relaxed;
};

}  // namespace kvern
