// For tests: a vocabulary of the 256 bytes and the control tokens it is given. "<|im_end|>" is
// always one of those and ends generation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/vocab.h"

namespace kvern::chat::testing {

class ByteVocab final : public Vocab {
 public:
  explicit ByteVocab(const std::vector<std::string>& controls = {}) {
    for (int byte = 0; byte < 256; ++byte) pieces_.emplace_back(1, static_cast<char>(byte));
    pieces_.emplace_back("<|im_end|>");
    for (const std::string& control : controls) pieces_.push_back(control);
  }

  std::int32_t size() const override { return static_cast<std::int32_t>(pieces_.size()); }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    while (!text.empty()) {
      TokenId token = static_cast<unsigned char>(text.front());
      if (special == SpecialTokens::as_tokens)
        for (TokenId control = kEnd; control < size(); ++control)
          if (text.starts_with(piece(control))) token = control;
      out.push_back(token);
      text.remove_prefix(piece(token).size());
    }
  }
  std::string_view piece(TokenId token) const override {
    return token < 0 || token >= size() ? std::string_view() : pieces_[static_cast<std::size_t>(token)];
  }
  bool is_control(TokenId token) const override { return token >= kEnd && token < size(); }
  bool ends_generation(TokenId token) const override { return token == kEnd; }
  TokenId find(std::string_view text) const override {
    for (TokenId control = kEnd; control < size(); ++control)
      if (piece(control) == text) return control;
    return -1;
  }
  std::string_view bos_text() const override { return {}; }
  std::string_view eos_text() const override { return "<|im_end|>"; }
  TokenId required_bos() const override { return -1; }

  static constexpr TokenId kEnd = 256;

 private:
  std::vector<std::string> pieces_;
};

}  // namespace kvern::chat::testing
