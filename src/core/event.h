// What a turn is made of, in the order it is generated. Layers speak in events, not in each
// other's JSON.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/vocab.h"

namespace kvern {

struct TextEvent {
  std::string text;  // whole UTF-8 sequences
  bool operator==(const TextEvent&) const = default;
};

struct ReasoningEvent {
  std::string text;
  bool operator==(const ReasoningEvent&) const = default;
};

struct CallStartEvent {
  std::int32_t index = 0;  // 0, 1, ... within the turn
  std::string id;
  std::string name;
  bool operator==(const CallStartEvent&) const = default;
};

// A piece of the arguments' JSON text, exactly as generated.
struct CallArgsEvent {
  std::int32_t index = 0;
  std::string text;
  bool operator==(const CallArgsEvent&) const = default;
};

struct CallEndEvent {
  std::int32_t index = 0;
  std::string written_id = {};  // ToolCall::written_id
  bool operator==(const CallEndEvent&) const = default;
};

using Event = std::variant<TextEvent, ReasoningEvent, CallStartEvent, CallArgsEvent, CallEndEvent>;

// Log probabilities of one generated token. Natural logarithm, over the raw logits (temperature 1,
// before penalties and constraints).
struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;
};

struct StepLogprobs {
  TokenLogprob drawn;
  std::vector<TokenLogprob> best;  // descending
};

}  // namespace kvern
