// Tokens and the vocabulary that gives them bytes.
//
// Thread: any, for the whole interface; a Vocab is immutable once its model is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvern {

using TokenId = std::int32_t;

enum class SpecialTokens {
  as_text,   // "<|im_end|>" in the text is ten characters: what users and files write
  as_tokens  // "<|im_end|>" becomes its control token: what templates write
};

class Vocab {
 public:
  virtual ~Vocab() = default;

  virtual std::int32_t size() const = 0;

  // Never adds BOS or EOS. Text need not be UTF-8. Appends to out.
  virtual void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const = 0;

  // The token's bytes, control tokens as their names ("<|im_end|>"). Empty for ids out of range.
  // Valid for the life of the Vocab. May be part of a UTF-8 sequence.
  virtual std::string_view piece(TokenId token) const = 0;

  // Control tokens never appear in text a client sees; they may end or structure a turn.
  virtual bool is_control(TokenId token) const = 0;

  virtual bool ends_generation(TokenId token) const = 0;

  // The token whose name is exactly text, or -1. Covers control and user-defined tokens.
  virtual TokenId find(std::string_view text) const = 0;

  // "" when the model has none; templates get them as bos_token and eos_token.
  virtual std::string_view bos_text() const = 0;
  virtual std::string_view eos_text() const = 0;

  // The BOS token that must precede every prompt, or -1. A template that writes it itself is
  // recognised by the renderer, which never doubles it.
  virtual TokenId required_bos() const = 0;
};

}  // namespace kvern
