// How the next token is drawn.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/vocab.h"

namespace kvern {

// Defaults are llama-server's, for users who come from there; a request's fields override each.
// Order of application (also llama-server's): logit_bias, penalties, constraint, top_k, top_p,
// min_p, temperature, draw.
struct SamplingParams {
  float temperature = 0.8F;  // 0: greedy
  std::int32_t top_k = 40;   // 0: off
  float top_p = 0.95F;       // 1: off
  float min_p = 0.05F;       // 0: off
  float presence_penalty = 0.0F;
  float frequency_penalty = 0.0F;
  float repeat_penalty = 1.0F;        // 1: off
  std::int32_t repeat_last_n = 64;    // window of repeat_penalty, in tokens of prompt and output
  std::optional<std::uint64_t> seed;  // unset: drawn at random
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::int32_t top_logprobs = -1;  // -1: none; 0: the drawn token's only; n: and the n best
};

}  // namespace kvern
