// Draws the next token from logits.
//
// Order: logit_bias, penalties, mask, top_k, top_p, min_p, temperature, draw. One sampler a
// sequence; its buffers are reused, so a steady decode without penalties and logprobs allocates
// nothing. Thread: engine.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/event.h"
#include "core/sampling.h"

namespace kvern::schedule {

class Sampler {
 public:
  // seed is used when params.seed is unset.
  Sampler(SamplingParams params, std::uint64_t seed);

  // A token the history gained (prompt or generated), for the penalties.
  void remember(TokenId token, bool generated);

  // mask: bit i allows token i; empty: all. Returns -1 only when the mask allows nothing.
  TokenId draw(std::span<const float> logits, std::span<const std::uint32_t> mask);

  bool wants_logprobs() const { return params_.top_logprobs >= 0; }
  StepLogprobs logprobs(std::span<const float> logits, TokenId drawn) const;

 private:
  struct Candidate {
    float logit;
    TokenId token;
  };

  bool adjusts() const;
  std::span<const float> adjusted(std::span<const float> logits);
  TokenId greedy(std::span<const float> logits, std::span<const std::uint32_t> mask) const;
  void collect(std::span<const float> logits, std::span<const std::uint32_t> mask);
  void keep_top_k();
  void keep_top_p();
  void keep_min_p();

  SamplingParams params_;
  std::mt19937_64 random_;
  std::vector<float> scratch_;
  std::vector<Candidate> candidates_;
  std::deque<TokenId> recent_;  // the last repeat_last_n tokens, when repeat_penalty is on
  std::unordered_map<TokenId, std::int32_t> recent_counts_;
  std::unordered_map<TokenId, std::int32_t> generated_counts_;
};

}  // namespace kvern::schedule
