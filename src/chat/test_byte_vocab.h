// A vocabulary for tests: one token a byte, and three control tokens.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/vocab.h"

namespace kvern::chat {

class ByteVocab final : public Vocab {
 public:
  std::int32_t size() const override { return kBytes + static_cast<std::int32_t>(kControl.size()); }

  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    while (!text.empty()) {
      const TokenId control = special == SpecialTokens::as_tokens ? control_at(text) : -1;
      out.push_back(control >= 0 ? control : static_cast<unsigned char>(text.front()));
      text.remove_prefix(piece(out.back()).size());
    }
  }

  std::string_view piece(TokenId token) const override {
    if (is_control(token)) return kControl[static_cast<std::size_t>(token - kBytes)];
    return std::string_view(bytes_).substr(static_cast<std::size_t>(token), 1);
  }

  bool is_control(TokenId token) const override { return token >= kBytes && token < size(); }
  bool ends_generation(TokenId token) const override { return token == find("<|im_end|>"); }
  TokenId find(std::string_view text) const override {
    const TokenId control = control_at(text);
    return control >= 0 && piece(control) == text ? control : -1;
  }
  std::string_view bos_text() const override { return "<s>"; }
  std::string_view eos_text() const override { return "<|im_end|>"; }
  TokenId required_bos() const override { return needs_bos ? find("<s>") : -1; }

  std::string text(const std::vector<TokenId>& tokens, std::size_t from = 0) const {
    std::string result;
    for (std::size_t i = from; i < tokens.size(); ++i) result += piece(tokens[i]);
    return result;
  }

  bool needs_bos = false;

 private:
  static constexpr TokenId kBytes = 256;
  static constexpr std::array<std::string_view, 3> kControl = {"<|im_start|>", "<|im_end|>", "<s>"};

  static TokenId control_at(std::string_view text) {
    for (std::size_t i = 0; i < kControl.size(); ++i)
      if (text.starts_with(kControl[i])) return kBytes + static_cast<TokenId>(i);
    return -1;
  }

  const std::string bytes_ = [] {
    std::string bytes;
    for (int byte = 0; byte < kBytes; ++byte) bytes += static_cast<char>(byte);
    return bytes;
  }();
};

}  // namespace kvern::chat
