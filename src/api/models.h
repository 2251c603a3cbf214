// /v1/models, /tokenize, /detokenize, /apply-template, /health: small JSON bodies. Pure; thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/vocab.h"

namespace kvern::api {

struct ModelCard {
  std::string id;  // --name
  std::int64_t created_s = 0;
  std::int32_t context = 0;          // the one number, under each of its names
  std::int32_t context_trained = 0;  // meta.n_ctx_train
  std::int32_t vocabulary = 0;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
};

// OpenAI's list with every field that some client reads: vLLM's, llama-server's and Anthropic's, of the page
// as well.
std::string encode_model_list(std::span<const ModelCard> models);
std::string encode_model(const ModelCard& model);

// {"content": text, "add_special": bool, "parse_special": bool, "with_pieces": bool}, as llama-server.
struct TokenizeRequest {
  std::string content;
  bool add_special = false;
  bool parse_special = true;
  bool with_pieces = false;
};
Result<TokenizeRequest> parse_tokenize_request(std::string_view body);
std::string encode_tokens(std::span<const TokenId> tokens, bool with_pieces, const Vocab& vocab);

// {"tokens": [ids]} -> {"content": text}
Result<std::vector<TokenId>> parse_detokenize_request(std::string_view body, const Vocab& vocab);
std::string encode_detokenized(std::span<const TokenId> tokens, const Vocab& vocab);

// {"prompt": text}
std::string encode_prompt(std::string_view text);

// {"input_tokens": n}, as llama-server counts a chat request.
std::string encode_input_tokens(std::size_t tokens);

struct Health {
  bool ready = false;
  std::string model;
  std::int32_t running = 0;
  std::int32_t waiting = 0;
};
std::string encode_health(const Health& health);

}  // namespace kvern::api
