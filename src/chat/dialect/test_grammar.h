// For tests: a turn's grammar as a judge of texts, and a writer of texts it allows.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/dialect/dialect.h"
#include "chat/dialect/test_vocab.h"
#include "constrain/constraint.h"
#include "constrain/schema.h"

namespace kvern::chat::testing {

// Accepted: may end here. Open: more must come. Refused: at the byte given.
struct Verdict {
  std::string what;
  bool refused() const { return what.starts_with("refused"); }
  bool operator==(const Verdict&) const = default;
};
inline void PrintTo(const Verdict& verdict, std::ostream* out) { *out << verdict.what; }
inline const Verdict kAccepted{"accepted"};
inline const Verdict kOpen{"open"};
inline Verdict refused_at(std::size_t byte) { return {"refused at " + std::to_string(byte)}; }

class Grammar {
 public:
  Grammar(const Dialect& dialect, const ChatRequest& request, bool reasons = false, bool in_reasoning = false,
          const std::vector<std::string>& controls = {})
      : vocab_(controls) {
    compiler_ = constrain::Compiler::create(vocab_).value();
    const auto fitter = constrain::SchemaFitter::create(*compiler_);
    auto spec = write_constraint(dialect, reasons, in_reasoning, request, vocab_, *compiler_, *fitter);
    EXPECT_TRUE(spec.has_value()) << (spec ? "" : spec.error().message);
    if (!spec) return;
    spec_ = *std::move(spec);
    auto compiled = compiler_->compile(spec_.lark);
    EXPECT_TRUE(compiled.has_value()) << (compiled ? "" : compiled.error().message) << spec_.lark;
    if (compiled) compiled_ = *compiled;
  }

  std::unique_ptr<constrain::Matcher> start() const { return compiled_->start(); }
  const ConstraintSpec& spec() const { return spec_; }
  const ByteVocab& vocab() const { return vocab_; }

  Verdict judge(std::string_view text) const {
    if (compiled_ == nullptr) return {"no grammar"};
    const auto [bytes, may_end] = follow(text);
    if (bytes < text.size()) return refused_at(bytes);
    return may_end ? kAccepted : kOpen;
  }

  // How many bytes of text are allowed; `text.size() + 1` when the turn may end behind them as well.
  std::size_t allowed(std::string_view text) const {
    if (compiled_ == nullptr) return 0;
    const auto [bytes, may_end] = follow(text);
    return may_end ? bytes + 1 : bytes;
  }
  bool accepts(std::string_view text) const { return allowed(text) == text.size() + 1; }

 private:
  // The bytes that are allowed, and whether the turn may end behind all of them.
  std::pair<std::size_t, bool> follow(std::string_view text) const {
    const auto matcher = start();
    std::vector<TokenId> tokens;
    vocab_.tokenize(text, SpecialTokens::as_tokens, tokens);
    std::size_t bytes = 0;
    for (const TokenId token : tokens) {
      if (matcher->finished() || !matcher->allows(token)) return {bytes, false};
      EXPECT_TRUE(matcher->accept(token).has_value());
      bytes += vocab_.piece(token).size();
    }
    return {bytes, matcher->finished() || matcher->allows(ByteVocab::kEnd)};
  }

  ByteVocab vocab_;
  std::unique_ptr<constrain::Compiler> compiler_;
  ConstraintSpec spec_;
  std::shared_ptr<const constrain::Compiled> compiled_;
};

inline ChatRequest request_with(std::vector<Tool> tools) {
  ChatRequest request;
  request.tools = std::move(tools);
  return request;
}

// Draws what a grammar allows, with a liking for characters that end things.
class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  // Empty when it found no end.
  std::string write(const Grammar& grammar) {
    const auto matcher = grammar.start();
    std::string text;
    while (!matcher->finished() && text.size() < 3'000) {
      const TokenId token = draw(matcher->mask().value());
      if (token == ByteVocab::kEnd) return text;
      EXPECT_TRUE(matcher->accept(token).has_value());
      text += grammar.vocab().piece(token);
    }
    return matcher->finished() ? text : std::string();
  }

 private:
  static constexpr std::string_view kLiked = "\"}]\n<>/|, ept:arm{1";

  TokenId draw(std::span<const std::uint32_t> mask) {
    const auto allowed = [&mask](TokenId token) {
      return (mask[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1U) != 0;
    };
    if (allowed(ByteVocab::kEnd) && number(2) == 0) return ByteVocab::kEnd;
    for (int tries = 0; tries < 12; ++tries) {
      const auto liked =
          static_cast<unsigned char>(kLiked[static_cast<std::size_t>(number(static_cast<int>(kLiked.size())))]);
      if (allowed(liked)) return liked;
    }
    std::vector<TokenId> all;
    for (TokenId token = 1; token <= ByteVocab::kEnd; ++token)
      if (allowed(token)) all.push_back(token);
    return all.at(static_cast<std::size_t>(number(static_cast<int>(all.size()))));
  }

  int number(int below) { return std::uniform_int_distribution<>(0, below - 1)(random_); }

  std::mt19937 random_;
};

}  // namespace kvern::chat::testing
