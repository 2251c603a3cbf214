// A rendered and tokenised prompt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/vocab.h"

namespace kvern {

enum class SegmentKind {
  head,  // system text and tools, as the template mixes them
  user,
  assistant,
  tool,    // a tool's result
  header,  // what the template adds for the model to go on
};

// Where a part of the prompt ends and what it says, so that "why did reuse stop here" has an answer.
// Digests are of meaning (what the client sent, spelling aside), not of tokens; 0: nothing there.
struct Segment {
  std::int32_t end = 0;  // token count after it
  SegmentKind kind = SegmentKind::head;
  std::uint64_t content = 0;
  std::uint64_t reasoning = 0;  // assistant
  std::uint64_t calls = 0;      // assistant: ids, names and arguments
  std::uint64_t tools = 0;      // head: the tool list
};

struct Prompt {
  std::vector<TokenId> tokens;

  // Token counts after which something ends that other prompts may share: the head (system and
  // tools), the prompt before the assistant header. Ascending, each <= tokens.size().
  std::vector<std::int32_t> boundaries;

  // Ascending by end; may be empty (text completions). Estimates: a template can hide where a message
  // ends, and then two of them share a segment.
  std::vector<Segment> segments;
};

// What the generated text must look like. Travels as text, compiled where it is used.
struct ConstraintSpec {
  std::string lark;  // a llguidance Lark grammar over the whole turn; empty: unconstrained

  // Logged when parts of a schema had to be relaxed: "tool Edit: /properties/x: not".
  std::vector<std::string> relaxed;
};

}  // namespace kvern
