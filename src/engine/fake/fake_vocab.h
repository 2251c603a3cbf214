// The fake engine's vocabulary: 256 byte tokens and three control tokens.
//
// Tags such as <tool_call> and <think> are plain bytes, so a client's stream is cut inside them.
// Thread: any; immutable.
#pragma once

#include "core/vocab.h"

namespace kvern::engine {

class FakeVocab final : public Vocab {
 public:
  static constexpr TokenId kMessageStart = 256;  // <|im_start|>
  static constexpr TokenId kMessageEnd = 257;    // <|im_end|>
  static constexpr TokenId kTextEnd = 258;       // <|endoftext|>
  static constexpr std::int32_t kSize = 259;

  static bool is_byte(TokenId token) { return token >= 0 && token < kMessageStart; }

  std::int32_t size() const override { return kSize; }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override;
  std::string_view piece(TokenId token) const override;
  bool is_control(TokenId token) const override;
  bool ends_generation(TokenId token) const override;
  TokenId find(std::string_view text) const override;
  std::string_view bos_text() const override { return ""; }
  std::string_view eos_text() const override { return "<|im_end|>"; }
  TokenId required_bos() const override { return -1; }
};

}  // namespace kvern::engine
