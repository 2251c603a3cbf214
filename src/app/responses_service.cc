#include "app/responses_service.h"

#include <fmt/format.h>

#include <utility>

#include "api/compaction.h"
#include "api/openai_responses.h"
#include "app/answer.h"
#include "app/chat_service.h"
#include "app/ids.h"
#include "app/response_store.h"
#include "base/clock.h"
#include "base/log.h"

namespace kvern::app {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

// Keeps what was answered once it is complete. Thread: net.
class StoringEncoder final : public api::AnswerEncoder {
 public:
  // response: its items up to here.
  StoringEncoder(api::ResponsesHead head, ResponseStore& store, StoredResponse response)
      : encoder_(std::move(head)), store_(store), response_(std::move(response)) {}

  void start(std::vector<api::Frame>& out) override { encoder_.start(out); }
  void events(std::int32_t choice, std::span<const Event> events, std::span<const StepLogprobs> logprobs,
              std::vector<api::Frame>& out) override {
    encoder_.events(choice, events, logprobs, out);
  }
  void ending(std::int32_t choice, FinishReason reason, std::string_view stop, std::vector<api::Frame>& out) override {
    encoder_.ending(choice, reason, stop, out);
  }
  void done(const Usage& usage, std::vector<api::Frame>& out) override {
    encoder_.done(usage, out);
    keep();
  }
  void failed(const Error& error, std::vector<api::Frame>& out) override { encoder_.failed(error, out); }
  std::string whole(std::span<const api::Choice> choices, const Usage& usage) override {
    std::string body = encoder_.whole(choices, usage);
    keep();
    return body;
  }

 private:
  void keep() {
    if (!encoder_.complete()) return;
    response_.body = encoder_.body();
    response_.output = response_.items.size();
    for (api::ItemText& item : encoder_.items()) response_.items.push_back(std::move(item));
    store_.put(std::move(response_));
  }

  api::ResponsesEncoder encoder_;
  ResponseStore& store_;
  StoredResponse response_;
};

void log_dropped(const std::string& id, const std::vector<std::string>& types) {
  for (const std::string& type : types) log::debug("item dropped", {{"id", id}, {"type", type}});
}

Status start_responses(ModelService& model, const http::Request& http_request, const Exchange& exchange) {
  const std::string salt = model.salt_of(http_request);
  TRY(api::ResponsesRequest request,
      api::parse_responses_request(http_request.body, StoredFor(model.responses(), salt), model.defaults(),
                                   /*keep_items=*/false, &model.request_memory()));
  api::ResponsesHead head{random_id(),
                          answer_model(model, request.chat.model),
                          unix_time_s(),
                          std::move(request.echo),
                          std::move(request.names),
                          request.seals_reasoning};
  ChatFormat format;
  format.id = std::string(api::kResponsePrefix) + head.tag;
  log_dropped(format.id, request.dropped);
  if (request.store) {
    format.encoder = std::make_unique<StoringEncoder>(std::move(head), model.responses(),
                                                      StoredResponse{format.id, salt, "", std::move(request.items)});
  } else {
    format.encoder = std::make_unique<api::ResponsesEncoder>(std::move(head));
  }
  return start_chat(model, request.chat, std::move(format), http_request, exchange);
}

Result<std::string> count_tokens(ModelService& model, const http::Request& http_request) {
  const std::string salt = model.salt_of(http_request);
  TRY(const api::ResponsesRequest request,
      api::parse_responses_request(http_request.body, StoredFor(model.responses(), salt), model.defaults(),
                                   /*keep_items=*/false, &model.request_memory()));
  TRY(const std::size_t tokens, prompt_tokens(model, request.chat, salt));
  return fmt::format(R"({{"object":"response.input_tokens","input_tokens":{}}})", tokens);
}

// The model's own summary, by an ordinary generation after the conversation.
Status start_compaction(ModelService& model, const http::Request& http_request, const Exchange& exchange) {
  const std::string salt = model.salt_of(http_request);
  TRY(api::ResponsesRequest request,
      api::parse_compaction_request(http_request.body, StoredFor(model.responses(), salt), model.defaults()));
  ChatFormat format;
  const std::string tag = random_id();
  format.id = std::string(api::kResponsePrefix) + tag;
  format.encoder = std::make_unique<api::CompactionEncoder>(tag, unix_time_s(), request.items);
  return start_chat(model, request.chat, std::move(format), http_request, exchange);
}

}  // namespace

void serve_responses(ModelService& model, const http::Request& request, const Exchange& exchange) {
  if (const Status started = start_responses(model, request, exchange); !started)
    answer_error(*exchange, started.error());
}

void serve_response_tokens(ModelService& model, const http::Request& request, const Exchange& exchange) {
  answer(*exchange, count_tokens(model, request));
}

void serve_compaction(ModelService& model, const http::Request& request, const Exchange& exchange) {
  if (const Status started = start_compaction(model, request, exchange); !started)
    answer_error(*exchange, started.error());
}

}  // namespace kvern::app
