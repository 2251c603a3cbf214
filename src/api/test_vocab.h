// A vocabulary for tests: one token a byte, and one control token after them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/vocab.h"

namespace kvern::api {

class ByteVocab final : public Vocab {
 public:
  static constexpr TokenId kEnd = 256;

  ByteVocab() {
    for (int byte = 0; byte < 256; ++byte) pieces_.emplace_back(1, static_cast<char>(byte));
    pieces_.emplace_back("<|end|>");
  }

  std::int32_t size() const override { return static_cast<std::int32_t>(pieces_.size()); }
  void tokenize(std::string_view text, SpecialTokens, std::vector<TokenId>& out) const override {
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  }
  std::string_view piece(TokenId token) const override {
    return token >= 0 && token < size() ? std::string_view(pieces_[static_cast<std::size_t>(token)])
                                        : std::string_view();
  }
  bool is_control(TokenId token) const override { return token == kEnd; }
  bool ends_generation(TokenId token) const override { return token == kEnd; }
  TokenId find(std::string_view text) const override { return text == pieces_[kEnd] ? kEnd : -1; }
  std::string_view bos_text() const override { return ""; }
  std::string_view eos_text() const override { return pieces_[kEnd]; }
  TokenId required_bos() const override { return -1; }

 private:
  std::vector<std::string> pieces_;
};

}  // namespace kvern::api
