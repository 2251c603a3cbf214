#include "app/chat_service.h"

#include <fmt/format.h>

#include <utility>

#include "api/openai_chat.h"
#include "app/answer.h"
#include "app/chat_writer.h"
#include "app/ids.h"
#include "app/reasoning_limit.h"
#include "app/session_key.h"
#include "app/turn.h"
#include "base/clock.h"
#include "base/log.h"

namespace kvern::app {
namespace {

void log_prompt(const std::string& id, const chat::RenderedChat& rendered) {
  if (rendered.dropped_transport_header)
    log::info("transport header dropped", {{"id", id}, {"header", "x-anthropic-billing-header"}});
  if (rendered.turns_recalled > 0)
    log::debug("turns", {{"id", id}, {"recalled", rendered.turns_recalled}, {"replayed", rendered.turns_replayed}});
}

// Prompts without a hope to fit are told so before they are rendered.
Status check_length(const ModelService& model, const ChatRequest& request) {
  std::size_t bytes = 0;
  for (const Message& message : request.messages) bytes += message.content.size();
  return model.check_length(bytes);
}

// One request a choice; they differ in their names and seeds.
std::vector<GenerateRequest> requests_of(const ChatRequest& request, const GenerateRequest& one) {
  std::vector<GenerateRequest> requests(static_cast<std::size_t>(request.choices), one);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests.size() > 1) requests[i].id = fmt::format("{}-{}", one.id, i);
    if (requests[i].sampling.seed) *requests[i].sampling.seed += i;
  }
  return requests;
}

std::vector<std::unique_ptr<chat::Parser>> parsers_of(const ChatRequest& request, const chat::Chosen& chosen,
                                                      bool in_reasoning, const std::string& call_prefix) {
  std::vector<std::unique_ptr<chat::Parser>> parsers;
  for (std::int32_t i = 0; i < request.choices; ++i) {
    chat::ParserOptions options{request.tool_choice.use == ToolUse::none ? std::vector<Tool>() : request.tools,
                                chosen.reasons, in_reasoning, [call_prefix] { return call_prefix + random_id(); }};
    parsers.push_back(chat::make_parser(*chosen.dialect, std::move(options)));
  }
  return parsers;
}

}  // namespace

std::string answer_model(const ModelService& model, const ChatRequest& request) {
  return request.model.empty() ? model.name() : request.model;
}

Result<std::size_t> prompt_tokens(ModelService& model, const ChatRequest& request, const std::string& salt) {
  TRY_OK(check_length(model, request));
  const chat::Recalled recalled = model.turns().recall(request.messages, request.tools, salt);
  TRY(const chat::RenderedChat rendered, model.renderer().render(request, &recalled));
  return rendered.prompt.tokens.size();
}

Status start_chat(ModelService& model, const ChatRequest& request, ChatFormat format, const http::Request& http_request,
                  const std::shared_ptr<http::Exchange>& exchange) {
  TRY_OK(check_length(model, request));
  GenerateRequest one;
  one.cache_salt = model.salt_of(http_request);
  const chat::Recalled recalled = model.turns().recall(request.messages, request.tools, one.cache_salt);
  TRY(chat::RenderedChat rendered, model.renderer().render(request, &recalled));
  const chat::Chosen& chosen = model.renderer().dialect();
  TRY(one.constraint, model.constraints().write(request, rendered.in_reasoning));
  one.id = std::move(format.id);
  for (const std::string& relaxed : one.constraint.relaxed)
    log::warn("schema relaxed", {{"id", one.id}, {"what", relaxed}});
  log_prompt(one.id, rendered);

  one.prompt = std::move(rendered.prompt);
  one.sampling = request.sampling;
  one.tokens_max = request.tokens_max;
  if (one.tokens_max == 0) one.tokens_max = 1;  // a turn has a token; its encoder shows none
  one.stops = request.stops;
  one.reasoning = reasoning_limit(*chosen.dialect, rendered.in_reasoning, request.reasoning, model.vocab());
  one.markers = model.renderer().markers();
  one.session = session_key(http_request, request.session);

  TurnMemory memory{model.turns(), recalled.key, rendered.mark, one.markers};
  CallRules rules{model.metrics(), model.call_checker(), !one.constraint.lark.empty(),
                  schemas_to_check(request, one.constraint)};
  auto writer = std::make_unique<ChatWriter>(one.id, request.stream, std::move(format.encoder), model.vocab(),
                                             parsers_of(request, chosen, rendered.in_reasoning, format.call_prefix),
                                             std::move(memory), std::move(rules));
  TurnOptions options{request.stream, format.wire, static_cast<std::size_t>(request.choices),
                      std::move(format.headers)};
  return std::make_shared<Turn>(exchange, std::move(writer), std::move(options))
      ->start(model.generator(), requests_of(request, one));
}

namespace {

Status start_openai_chat(ModelService& model, const http::Request& http_request,
                         const std::shared_ptr<http::Exchange>& exchange) {
  TRY(const ChatRequest request, api::parse_chat_request(http_request.body));
  ChatFormat format;
  format.id = "chatcmpl-" + random_id();
  api::ResponseHead head{format.id, answer_model(model, request), unix_time_s()};
  format.encoder = std::make_unique<api::ChatEncoder>(std::move(head), request.choices, request.stream_usage,
                                                      model.vocab(), api::custom_tools(request.tools));
  return start_chat(model, request, std::move(format), http_request, exchange);
}

}  // namespace

void serve_chat(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange) {
  if (const Status started = start_openai_chat(model, request, exchange); !started)
    answer_error(*exchange, started.error());
}

}  // namespace kvern::app
