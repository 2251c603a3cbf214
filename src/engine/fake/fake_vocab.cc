#include "engine/fake/fake_vocab.h"

#include <array>

namespace kvern::engine {
namespace {

constexpr std::array<std::string_view, 3> kControlNames{"<|im_start|>", "<|im_end|>", "<|endoftext|>"};

constexpr auto kBytes = [] {
  std::array<char, 256> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(static_cast<unsigned char>(i));
  return bytes;
}();

// The control token whose name text begins with, or -1.
TokenId control_prefix(std::string_view text) {
  for (std::size_t i = 0; i < kControlNames.size(); ++i) {
    if (text.starts_with(kControlNames[i])) return FakeVocab::kMessageStart + static_cast<TokenId>(i);
  }
  return -1;
}

}  // namespace

void FakeVocab::tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const {
  out.reserve(out.size() + text.size());
  while (!text.empty()) {
    TokenId token = static_cast<unsigned char>(text.front());
    std::size_t length = 1;
    if (special == SpecialTokens::as_tokens && token == '<') {
      if (const TokenId control = control_prefix(text); control >= 0) {
        token = control;
        length = piece(control).size();
      }
    }
    out.push_back(token);
    text.remove_prefix(length);
  }
}

std::string_view FakeVocab::piece(TokenId token) const {
  if (is_byte(token)) return {&kBytes[static_cast<std::size_t>(token)], 1};
  if (is_control(token)) return kControlNames[static_cast<std::size_t>(token - kMessageStart)];
  return {};
}

bool FakeVocab::is_control(TokenId token) const { return token >= kMessageStart && token < kSize; }

bool FakeVocab::ends_generation(TokenId token) const { return token == kMessageEnd || token == kTextEnd; }

TokenId FakeVocab::find(std::string_view text) const {
  const TokenId control = control_prefix(text);
  return control >= 0 && piece(control).size() == text.size() ? control : -1;
}

}  // namespace kvern::engine
