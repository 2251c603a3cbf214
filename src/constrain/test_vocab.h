// A vocabulary for tests: 256 byte tokens, some longer ones, and control tokens.
//
// Small enough to read, and shaped like a real one: JSON punctuation that spans grammar borders,
// words, two tokens that end generation, one control marker and one user-defined marker.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/vocab.h"

namespace kvern::constrain {

class TestVocab final : public Vocab {
 public:
  TestVocab() {
    for (int byte = 0; byte < kBytes; ++byte) pieces_.push_back(std::string(1, static_cast<char>(byte)));
    for (const std::string_view piece : kPlain) pieces_.emplace_back(piece);
    first_control_ = static_cast<TokenId>(pieces_.size());
    for (const std::string_view piece : kControl) pieces_.emplace_back(piece);
  }

  std::int32_t size() const override { return static_cast<std::int32_t>(pieces_.size()); }

  // Longest match first, so text has exactly one canonical form.
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    while (!text.empty()) {
      const TokenId best = longest_match(text, special);
      out.push_back(best);
      text.remove_prefix(piece(best).size());
    }
  }

  std::string_view piece(TokenId token) const override {
    if (token < 0 || token >= size()) return {};
    return pieces_[static_cast<std::size_t>(token)];
  }

  bool is_control(TokenId token) const override { return token >= first_control_ && token < size(); }
  bool ends_generation(TokenId token) const override { return token == im_end() || token == end_of_text(); }

  TokenId find(std::string_view text) const override {
    const TokenId token = token_of(text);
    return is_control(token) || text == kUserDefined ? token : -1;
  }

  std::string_view bos_text() const override { return {}; }
  std::string_view eos_text() const override { return "<|im_end|>"; }
  TokenId required_bos() const override { return -1; }

  // The token whose piece is exactly text, plain ones too, or -1.
  TokenId token_of(std::string_view text) const {
    const auto it = std::find(pieces_.rbegin(), pieces_.rend(), text);
    return static_cast<TokenId>(pieces_.rend() - it) - 1;
  }

  TokenId im_end() const { return token_of("<|im_end|>"); }
  TokenId end_of_text() const { return token_of("<|endoftext|>"); }
  TokenId tool_call() const { return token_of("<tool_call>"); }

  std::vector<TokenId> encode(std::string_view text, SpecialTokens special = SpecialTokens::as_text) const {
    std::vector<TokenId> tokens;
    tokenize(text, special, tokens);
    return tokens;
  }

  std::string decode(const std::vector<TokenId>& tokens) const {
    std::string text;
    for (const TokenId token : tokens) text += piece(token);
    return text;
  }

 private:
  static constexpr int kBytes = 256;
  static constexpr std::string_view kUserDefined = "<think>";
  static constexpr std::array<std::string_view, 36> kPlain = {
      "\", \"", "\": \"", "\": ",    "{\"",   "\"}",  "}}",    "[\"",    "\"]",          ", ",
      ": ",     "\n\n",   "true",    "false", "null", "name",  "type",   "path",         "value",
      "comm",   "and",    "command", "file",  "the ", "hello", "world",  " is",          "argu",
      "ments",  "10",     "42",      "0.5",   "\\n",  "\\\"",  "\u00e9", "\u65e5\u672c", kUserDefined};
  static constexpr std::array<std::string_view, 4> kControl = {"<|im_start|>", "<|im_end|>", "<|endoftext|>",
                                                               "<tool_call>"};

  TokenId longest_match(std::string_view text, SpecialTokens special) const {
    TokenId best = static_cast<unsigned char>(text.front());
    for (TokenId token = kBytes; token < size(); ++token) {
      if (is_control(token) && special == SpecialTokens::as_text) continue;
      if (piece(token).size() > piece(best).size() && text.starts_with(piece(token))) best = token;
    }
    return best;
  }

  std::vector<std::string> pieces_;
  TokenId first_control_ = 0;
};

}  // namespace kvern::constrain
