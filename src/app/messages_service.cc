#include "app/messages_service.h"

#include <utility>

#include "api/anthropic_messages.h"
#include "app/answer.h"
#include "app/chat_service.h"
#include "app/ids.h"
#include "base/clock.h"

namespace kvern::app {
namespace {

Status start_messages(ModelService& model, const http::Request& http_request,
                      const std::shared_ptr<http::Exchange>& exchange) {
  TRY(const ChatRequest request,
      api::parse_messages_request(http_request.body, model.defaults(), &model.request_memory()));
  const std::string id = random_id();
  ChatFormat format;
  format.wire = api::Wire::anthropic;
  format.id = "msg_" + id;
  format.call_prefix = "toolu_";
  format.headers = {{std::string(kRequestIdHeader), "req_" + id}};
  const api::Shown shown = request.tokens_max == 0 ? api::Shown::nothing : api::Shown::content;
  api::ResponseHead head{format.id, answer_model(model, request.model), unix_time_s()};
  format.encoder = std::make_unique<api::MessagesEncoder>(std::move(head), shown);
  return start_chat(model, request, std::move(format), http_request, exchange);
}

Result<std::string> count_tokens(ModelService& model, const http::Request& http_request) {
  TRY(const ChatRequest request,
      api::parse_messages_request(http_request.body, model.defaults(), &model.request_memory()));
  TRY(const std::size_t tokens, prompt_tokens(model, request, model.salt_of(http_request)));
  return api::encode_token_count(static_cast<std::int64_t>(tokens));
}

}  // namespace

void serve_messages(ModelService& model, const http::Request& request,
                    const std::shared_ptr<http::Exchange>& exchange) {
  if (const Status started = start_messages(model, request, exchange); !started)
    answer_error(*exchange, started.error(), api::Wire::anthropic);
}

void serve_count_tokens(ModelService& model, const http::Request& request,
                        const std::shared_ptr<http::Exchange>& exchange) {
  answer(*exchange, count_tokens(model, request), api::Wire::anthropic);
}

bool is_greeting(const http::Request& request) {
  if (request.method != "GET" && request.method != "HEAD") return false;
  return request.path == "/" || request.path == "/api/hello";
}

void serve_greeting(http::Exchange& exchange) { answer_json(exchange, R"({"message":"kvern is here"})"); }

api::Wire wire_of(const http::Request& request) {
  const bool anthropic = api::is_anthropic_path(request.path) || !request.header("anthropic-version").empty();
  return anthropic ? api::Wire::anthropic : api::Wire::openai;
}

}  // namespace kvern::app
