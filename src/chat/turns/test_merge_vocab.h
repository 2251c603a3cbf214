// For tests: a vocabulary whose tokenizer merges greedily, so that the same bytes have many
// tokenisations, and a model's own is rarely the one a tokenizer finds.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/vocab.h"

namespace kvern::chat::testing {

class MergeVocab final : public Vocab {
 public:
  // markers: control tokens that are part of a dialect.
  explicit MergeVocab(const std::vector<std::string>& markers = {}) {
    for (int byte = 0; byte < 256; ++byte) pieces_.emplace_back(1, static_cast<char>(byte));
    for (const char* merged :
         {"th",          "the",      " the",  "he",     "ll",     "llo",      "Hello",        "to",        "ol",
          "tool",        "<tool",    "_call", "_call>", ">\n",    "</",       "{\"",          "\": ",      "\": \"",
          "\",",         ", \"",     "\"}",   "}}",     "}\n",    "\n\n",     "name",         "arguments", "assistant",
          "assistant\n", "nt\n",     "user",  "er\n",   "<think", "think>",   "<parameter",   "param",     "=path",
          "path",        "function", "pa",    "00",     "10",     "\xC3\xA9", "\xE2\x98\x82", "\xE2\x98",  "  ",
          " a",          " b",       "ab",    "abc",    "bc",     ". ",       "\n<"})
      pieces_.emplace_back(merged);
    first_control_ = static_cast<TokenId>(pieces_.size());
    for (const char* control : {"<|im_end|>", "<|im_start|>", "<|eom|>"}) pieces_.emplace_back(control);
    for (const std::string& marker : markers) pieces_.push_back(marker);
    for (TokenId token = 0; token < size(); ++token)
      by_byte_[static_cast<unsigned char>(pieces_[static_cast<std::size_t>(token)][0])].push_back(token);
    for (auto& some : by_byte_)
      std::sort(some.begin(), some.end(), [&](TokenId a, TokenId b) { return piece(a).size() > piece(b).size(); });
  }

  std::int32_t size() const override { return static_cast<std::int32_t>(pieces_.size()); }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    while (!text.empty()) {
      TokenId longest = -1;
      each_fitting(text, special == SpecialTokens::as_tokens, [&](TokenId token) {
        longest = token;
        return false;
      });
      out.push_back(longest);
      text.remove_prefix(piece(longest).size());
    }
  }
  std::string_view piece(TokenId token) const override {
    return token < 0 || token >= size() ? std::string_view() : pieces_[static_cast<std::size_t>(token)];
  }
  bool is_control(TokenId token) const override { return token >= first_control_ && token < size(); }
  bool ends_generation(TokenId token) const override { return token == first_control_; }
  TokenId find(std::string_view text) const override {
    for (TokenId token = first_control_; token < size(); ++token)
      if (piece(token) == text) return token;
    return -1;
  }
  std::string_view bos_text() const override { return {}; }
  std::string_view eos_text() const override { return "<|im_end|>"; }
  TokenId required_bos() const override { return -1; }

  // As a model may draw it: any pieces that fit, markers as their tokens.
  std::vector<TokenId> drawn(std::string_view text, std::mt19937& random) const {
    std::vector<TokenId> out;
    std::vector<TokenId> fitting;
    while (!text.empty()) {
      fitting.clear();
      each_fitting(text, true, [&](TokenId token) {
        fitting.push_back(token);
        return true;
      });
      out.push_back(fitting[random() % fitting.size()]);
      text.remove_prefix(piece(out.back()).size());
    }
    return out;
  }

  std::string text(const std::vector<TokenId>& tokens) const {
    std::string result;
    for (const TokenId token : tokens) result += piece(token);
    return result;
  }

 private:
  // Longest first, until take() has enough; a control token alone, and nothing reaches into one.
  template <typename Take>
  void each_fitting(std::string_view text, bool controls, const Take& take) const {
    const auto& some = by_byte_[static_cast<unsigned char>(text.front())];
    if (controls) {
      for (const TokenId token : some) {
        if (!is_control(token) || !text.starts_with(piece(token))) continue;
        take(token);
        return;
      }
    }
    for (const TokenId token : some) {
      if (is_control(token) || !text.starts_with(piece(token))) continue;
      if (controls && reaches_into_control(text, piece(token).size())) continue;
      if (!take(token)) return;
    }
  }

  bool reaches_into_control(std::string_view text, std::size_t length) const {
    for (std::size_t at = 1; at < length; ++at) {
      if (text[at] != '<') continue;
      for (TokenId token = first_control_; token < size(); ++token)
        if (text.substr(at).starts_with(piece(token))) return true;
    }
    return false;
  }

  std::vector<std::string> pieces_;
  std::vector<TokenId> by_byte_[256];
  TokenId first_control_ = 0;
};

}  // namespace kvern::chat::testing
