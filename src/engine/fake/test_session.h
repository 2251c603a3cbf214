// What the tests of the fake engine share: one engine, and decoding as a scheduler would.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/fake/fake_engine.h"

namespace kvern::engine {

class Session {
 public:
  explicit Session(std::string_view script, Overrides overrides = {}) {
    auto made = make_fake_engine_from_text(script, overrides);
    if (!made)
      ADD_FAILURE() << made.error().message;
    else
      engine_ = std::move(*made);
  }

  FakeEngine& engine() { return *engine_; }

  std::vector<TokenId> tokens(std::string_view text) {
    std::vector<TokenId> out;
    engine_->vocab().tokenize(text, SpecialTokens::as_tokens, out);
    return out;
  }

  // Decodes text after what the sequence holds; logits of the last token are wanted.
  Result<Decoded> feed(SequenceId sequence, std::string_view text) { return feed(sequence, tokens(text)); }

  Result<Decoded> feed(SequenceId sequence, const std::vector<TokenId>& tokens) {
    std::vector<BatchToken> batch;
    auto position = static_cast<Position>(engine_->tokens(sequence).size());
    for (const TokenId token : tokens) batch.push_back({token, sequence, position++, false});
    batch.back().wants_logits = true;
    last_row_ = batch.size() - 1;
    return engine_->decode(batch);
  }

  // True where a constraint lets `token` follow the text generated so far.
  using Allowed = std::function<bool(std::string_view text, TokenId token)>;

  TokenId best(const Allowed& allowed = {}, std::string_view text = {}) {
    const auto logits = engine_->logits(last_row_);
    TokenId best = -1;
    for (TokenId token = 0; token < engine_->vocab().size(); ++token) {
      if (allowed && !allowed(text, token)) continue;
      if (best < 0 || logits[static_cast<std::size_t>(token)] > logits[static_cast<std::size_t>(best)]) best = token;
    }
    return best;
  }

  // Greedy generation from the logits of the last feed() until an end token or tokens_max.
  std::string generate(SequenceId sequence, std::size_t tokens_max = 1000, const Allowed& allowed = {}) {
    std::string text;
    for (std::size_t i = 0; i < tokens_max; ++i) {
      const TokenId token = best(allowed, text);
      if (engine_->vocab().ends_generation(token)) return text;
      text += engine_->vocab().piece(token);
      EXPECT_EQ(feed(sequence, std::vector<TokenId>{token}), Decoded::ok);
    }
    return text;
  }

  // A prompt's answer in a fresh sequence 0.
  std::string answer(std::string_view prompt) {
    engine_->drop(0);
    EXPECT_EQ(feed(0, prompt), Decoded::ok);
    return generate(0);
  }

 private:
  std::unique_ptr<FakeEngine> engine_;
  std::size_t last_row_ = 0;
};

inline std::string user(std::string_view text) {
  return "<|im_start|>user\n" + std::string(text) + "<|im_end|>\n<|im_start|>assistant\n";
}

}  // namespace kvern::engine
