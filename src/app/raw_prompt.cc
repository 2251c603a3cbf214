#include "app/raw_prompt.h"

#include <fmt/format.h>

#include <utility>

namespace kvern::app {

Result<std::vector<TokenId>> raw_prompt_tokens(const CompletionRequest::Prompt& prompt, const Vocab& vocab,
                                               std::string field) {
  for (const TokenId token : prompt.tokens) {
    if (token < 0 || token >= vocab.size())
      return fail(Code::invalid, fmt::format("token id {} is not in this model's vocabulary", token), std::move(field));
  }
  if (!prompt.tokens.empty()) return prompt.tokens;
  std::vector<TokenId> tokens;
  if (vocab.required_bos() >= 0 && !prompt.text.starts_with(vocab.bos_text())) tokens.push_back(vocab.required_bos());
  vocab.tokenize(prompt.text, SpecialTokens::as_tokens, tokens);
  if (tokens.empty()) return fail(Code::invalid, "the prompt is empty", std::move(field));
  return tokens;
}

}  // namespace kvern::app
