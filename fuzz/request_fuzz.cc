// Bytes of a client into every request parser: no crash, and what is accepted keeps its promises.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "api/anthropic_messages.h"
#include "api/llama_completion.h"
#include "api/models.h"
#include "api/openai_chat.h"
#include "api/openai_completions.h"
#include "api/openai_responses.h"
#include "api/test_vocab.h"
#include "api/wire_error.h"
#include "base/check.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text_memory.h"

namespace kvern::api {
namespace {

// A client is told what is wrong with its request, never that the server failed.
void check_refusal(const Error& error) {
  CHECK(error.code == Code::invalid || error.code == Code::too_large, error.message);
  CHECK(!error.message.empty());
  CHECK(parse_json(openai_error(error).body).has_value(), error.message);
}

void check_sampling(const SamplingParams& sampling) {
  CHECK(sampling.temperature >= 0 && sampling.temperature <= 2);
  CHECK(sampling.top_p > 0 && sampling.top_p <= 1);
  CHECK(sampling.top_k >= 0 && sampling.repeat_last_n >= 0);
  CHECK(sampling.repeat_penalty > 0);
  for (const auto& [token, bias] : sampling.logit_bias) CHECK(token >= 0 && bias >= -100 && bias <= 100);
}

void chat(const Result<ChatRequest>& request) {
  if (!request) return check_refusal(request.error());
  check_sampling(request->sampling);
  CHECK(!request->messages.empty());
  CHECK(request->choices >= 1 && request->choices <= static_cast<std::int32_t>(limits::kChoices));
  CHECK(request->tool_choice.use != ToolUse::required || !request->tools.empty());
  for (const Tool& tool : request->tools) CHECK(parse_json(tool.parameters).has_value(), tool.parameters);
}

class NothingStored final : public StoredItems {
 public:
  std::optional<std::vector<ItemText>> conversation(std::string_view) const override { return std::nullopt; }
  ItemText item(std::string_view) const override { return nullptr; }
};

// A memory of earlier requests never changes what a request says, nor what is wrong with it.
template <typename Request>
void same(const Result<Request>& fresh, const Result<Request>& remembered) {
  CHECK(fresh.has_value() == remembered.has_value());
  if (!fresh) {
    CHECK(fresh.error().message == remembered.error().message && fresh.error().field == remembered.error().field);
    return;
  }
  CHECK(fresh->messages == remembered->messages && fresh->tools == remembered->tools);
}

ChatRequest chat_of(ResponsesRequest request) { return std::move(request.chat); }

void remembered(std::string_view body) {
  static TextMemory memory(limits::kRequestMemoryBytes / 64);
  for (int time = 0; time < 2; ++time) {
    same(parse_responses_request(body, NothingStored()).map(chat_of),
         parse_responses_request(body, NothingStored(), {}, false, &memory).map(chat_of));
    same(parse_messages_request(body), parse_messages_request(body, {}, &memory));
    same(parse_chat_batch(body).map([](const ChatBatch& batch) { return batch.request; }),
         parse_chat_batch(body, {}, &memory).map([](const ChatBatch& batch) { return batch.request; }));
  }
}

void responses(std::string_view body) {
  const Result<ResponsesRequest> request = parse_responses_request(body, NothingStored());
  if (!request) {
    if (request.error().field != "previous_response_id") check_refusal(request.error());
    return;
  }
  check_sampling(request->chat.sampling);
  CHECK(!request->chat.messages.empty());
  CHECK(request->chat.tool_choice.use != ToolUse::required || !request->chat.tools.empty());
  CHECK(request->chat.tools.size() == request->names.size());
  for (const Tool& tool : request->chat.tools) CHECK(request->names.contains(tool.name), tool.name);
  for (const ItemText& item : request->items) CHECK(parse_json(*item).has_value(), *item);
  CHECK(parse_json("{" + request->echo + "}").has_value(), request->echo);
}

void batch(std::string_view body) {
  const Result<ChatBatch> batch = parse_chat_batch(body);
  if (!batch) return check_refusal(batch.error());
  CHECK(!batch->request.messages.empty());
  for (const std::vector<Message>& messages : batch->others) CHECK(!messages.empty());
  const auto conversations = static_cast<std::int32_t>(1 + batch->others.size());
  CHECK(conversations * batch->request.choices <= static_cast<std::int32_t>(limits::kChoicesOfRequest));
}

void llama_completion(std::string_view body) {
  const Result<LlamaCompletion> wanted = parse_llama_completion(body);
  if (!wanted) return check_refusal(wanted.error());
  check_sampling(wanted->request.sampling);
  CHECK(!wanted->request.prompts.empty());
}

void completion(std::string_view body) {
  const Result<CompletionRequest> request = parse_completion_request(body);
  if (!request) return check_refusal(request.error());
  check_sampling(request->sampling);
  CHECK(!request->prompts.empty());
  for (const CompletionRequest::Prompt& prompt : request->prompts)
    CHECK(!prompt.text.empty() || !prompt.tokens.empty());
}

void tokens(std::string_view body) {
  static const ByteVocab vocab;
  if (const auto request = parse_tokenize_request(body); !request) check_refusal(request.error());
  const auto ids = parse_detokenize_request(body, vocab);
  if (!ids) return check_refusal(ids.error());
  CHECK(parse_json(encode_detokenized(*ids, vocab)).has_value());
  CHECK(parse_json(encode_tokens(*ids, true, vocab)).has_value());
}

}  // namespace
}  // namespace kvern::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  kvern::api::chat(kvern::api::parse_chat_request(body));
  kvern::api::chat(kvern::api::parse_messages_request(body));
  kvern::api::remembered(body);
  kvern::api::responses(body);
  kvern::api::batch(body);
  kvern::api::completion(body);
  kvern::api::llama_completion(body);
  kvern::api::tokens(body);
  return 0;
}
