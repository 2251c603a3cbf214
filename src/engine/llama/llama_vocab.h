// A libllama vocabulary behind kvern's Vocab. Includes no llama.h. Thread: any.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/vocab.h"

struct llama_vocab;

namespace kvern::engine {

class LlamaVocab final : public Vocab {
 public:
  // Copies every token's bytes and attributes once, so that later look-ups touch no library code. A
  // model without a tokeniser (random ones, for tests) gets one byte a token, as far as its ids
  // go, and ends with token 0.
  explicit LlamaVocab(const llama_vocab* vocab);

  std::int32_t size() const override { return static_cast<std::int32_t>(pieces_.size()); }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override;
  std::string_view piece(TokenId token) const override;
  bool is_control(TokenId token) const override { return in_range(token) && control_[index(token)]; }
  bool ends_generation(TokenId token) const override { return in_range(token) && ends_[index(token)]; }
  TokenId find(std::string_view text) const override;
  std::string_view bos_text() const override { return piece(bos_); }
  std::string_view eos_text() const override { return piece(eos_); }
  TokenId required_bos() const override { return adds_bos_ ? bos_ : -1; }

 private:
  void tokenize_part(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const;
  static std::size_t index(TokenId token) { return static_cast<std::size_t>(token); }
  bool in_range(TokenId token) const { return token >= 0 && token < size(); }

  const llama_vocab* vocab_;
  std::vector<std::string> pieces_;
  std::vector<bool> control_;
  std::vector<bool> ends_;
  std::unordered_map<std::string_view, TokenId> named_;  // control and user-defined tokens
  TokenId bos_ = -1;
  TokenId eos_ = -1;
  bool adds_bos_ = false;
  bool has_tokenizer_ = true;
};

}  // namespace kvern::engine
