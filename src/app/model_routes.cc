#include "app/model_routes.h"

#include <array>
#include <string_view>
#include <utility>

#include "api/llama_props.h"
#include "api/models.h"
#include "api/openai_chat.h"
#include "app/answer.h"
#include "app/chat_service.h"
#include "app/messages_service.h"

namespace kvern::app {
void serve_health(ModelService& model, const http::Request&, const Exchange& exchange) {
  const schedule::SchedulerStats stats = model.stats();
  answer_json(*exchange, api::encode_health({true, model.name(), stats.running, stats.waiting}));
}

void serve_models(ModelService& model, const http::Request&, const Exchange& exchange) {
  const api::ModelCard card = model.card();
  answer_json(*exchange, api::encode_model_list(std::span(&card, 1)));
}

void serve_model(ModelService& model, const http::Request& request, const Exchange& exchange) {
  const std::string_view id = std::string_view(request.path).substr(request.path.find("/models/") + 8);
  const auto body = [&]() -> Result<std::string> {
    TRY_OK(model.check_model(id));
    api::ModelCard card = model.card();
    card.id = std::string(id);
    return api::encode_model(card);
  };
  answer(*exchange, body(), wire_of(request));
}

void serve_tokenize(ModelService& model, const http::Request& request, const Exchange& exchange) {
  const auto body = [&]() -> Result<std::string> {
    TRY(const api::TokenizeRequest wanted, api::parse_tokenize_request(request.body));
    const Vocab& vocab = model.vocab();
    std::vector<TokenId> tokens;
    if (wanted.add_special && vocab.required_bos() >= 0) tokens.push_back(vocab.required_bos());
    vocab.tokenize(wanted.content, wanted.parse_special ? SpecialTokens::as_tokens : SpecialTokens::as_text, tokens);
    return api::encode_tokens(tokens, wanted.with_pieces, vocab);
  };
  answer(*exchange, body());
}

void serve_detokenize(ModelService& model, const http::Request& request, const Exchange& exchange) {
  const auto body = [&]() -> Result<std::string> {
    TRY(const std::vector<TokenId> tokens, api::parse_detokenize_request(request.body, model.vocab()));
    return api::encode_detokenized(tokens, model.vocab());
  };
  answer(*exchange, body());
}

void serve_apply_template(ModelService& model, const http::Request& request, const Exchange& exchange) {
  const auto body = [&]() -> Result<std::string> {
    TRY(const ChatRequest chat, api::parse_chat_request(request.body, model.defaults()));
    TRY(const std::string text, model.renderer().render_text(chat));
    return api::encode_prompt(text);
  };
  answer(*exchange, body());
}

void serve_input_tokens(ModelService& model, const http::Request& request, const Exchange& exchange) {
  const auto body = [&]() -> Result<std::string> {
    TRY(const ChatRequest chat, api::parse_chat_request(request.body, model.defaults()));
    TRY(const std::size_t tokens, prompt_tokens(model, chat, model.salt_of(request)));
    return api::encode_input_tokens(tokens);
  };
  answer(*exchange, body());
}

void serve_props(ModelService& model, const http::Request&, const Exchange& exchange) {
  const ServeOptions& options = model.options();
  api::Props props;
  props.model = model.card();
  props.defaults = options.defaults;
  props.model_path = options.model;
  props.slots = options.parallel;
  props.chat_template = model.template_source();
  props.bos = model.vocab().bos_text();
  props.eos = model.vocab().eos_text();
  props.version = options.version;
  answer_json(*exchange, api::encode_props(props));
}

void serve_slots(ModelService& model, const http::Request&, const Exchange& exchange) {
  std::vector<api::Slot> busy;
  for (const schedule::RequestReport& request : model.requests()) {
    if (!request.running) continue;  // whoever waits has no place yet
    busy.push_back({request.id, request.prompt_tokens, request.computed_tokens, request.reused_tokens,
                    request.completion_tokens, request.tokens_max});
  }
  answer_json(*exchange, api::encode_slots(busy, model.options().parallel, model.info().context));
}

void serve_version(ModelService& model, const http::Request&, const Exchange& exchange) {
  answer_json(*exchange, api::encode_version(model.options().version));
}

void serve_ollama_version(ModelService& model, const http::Request&, const Exchange& exchange) {
  answer_json(*exchange, api::encode_ollama_version(model.options().version));
}

void serve_ollama_tags(ModelService& model, const http::Request&, const Exchange& exchange) {
  answer_json(*exchange, api::encode_ollama_tags(model.card()));
}

std::string_view why_not_offered(std::string_view path) {
  struct Row {
    std::string_view path;  // a trailing '/' matches everything below it
    std::string_view why;
  };
  static constexpr std::array kRows = {
      Row{"/v1/embeddings", "embeddings are not offered: kvern generates text only; run another server for them"},
      Row{"/embeddings", "embeddings are not offered: kvern generates text only; run another server for them"},
      Row{"/embedding", "embeddings are not offered: kvern generates text only; run another server for them"},
      Row{"/v1/rerank", "reranking is not offered: kvern generates text only; run another server for it"},
      Row{"/v1/reranking", "reranking is not offered: kvern generates text only; run another server for it"},
      Row{"/rerank", "reranking is not offered: kvern generates text only; run another server for it"},
      Row{"/reranking", "reranking is not offered: kvern generates text only; run another server for it"},
      Row{"/infill", "filling in the middle is not offered; send the model's own tokens for it to /completion"},
      Row{"/lora-adapters", "adapters are not supported; merge them into the model and serve that"},
      Row{"/slots/", "slots are not saved by hand: sessions reach the disk by themselves, see kvern cache"},
      Row{"/models/", "one server serves one model; start another server for another model"},
      Row{"/v1/chat/completions/control", "a running answer cannot be steered; close its connection to end it"},
      Row{"/v1/audio/", "sound is not supported: kvern generates text only"},
      Row{"/v1/images/", "pictures are not supported: kvern generates text only"},
      Row{"/v1/moderations", "moderation is not offered: kvern generates text only"},
      Row{"/api/chat", "Ollama's own API is not offered; its clients can use the OpenAI API at /v1/chat/completions"},
      Row{"/api/generate", "Ollama's own API is not offered; its clients can use the OpenAI API at /v1/completions"},
      Row{"/api/embed", "embeddings are not offered: kvern generates text only; run another server for them"},
      Row{"/api/pull", "models are not fetched by a request; start kvern with the GGUF file"},
      Row{"/api/show", "Ollama's own API is not offered; see GET /v1/models for the model and its context"},
  };
  for (const Row& row : kRows) {
    const bool below = row.path.ends_with('/') && path.starts_with(row.path) && path.size() > row.path.size();
    if (below || path == row.path) return row.why;
  }
  return {};
}

}  // namespace kvern::app
