#include "app/chat_service.h"

#include <fmt/format.h>

#include <utility>

#include "api/openai_chat.h"
#include "app/answer.h"
#include "app/chat_writer.h"
#include "app/ids.h"
#include "app/priority.h"
#include "app/reasoning_limit.h"
#include "app/session_key.h"
#include "app/turn.h"
#include "base/clock.h"
#include "base/log.h"

namespace kvern::app {
namespace {

void log_prompt(const std::string& id, const chat::RenderedChat& rendered) {
  if (rendered.dropped_transport_header)
    log::debug("transport header dropped", {{"id", id}, {"header", "x-anthropic-billing-header"}});
  if (rendered.turns_recalled > 0)
    log::debug("turns", {{"id", id}, {"recalled", rendered.turns_recalled}, {"replayed", rendered.turns_replayed}});
}

// Prompts without a hope to fit are told so before they are rendered.
Status check_length(const ModelService& model, const ChatRequest& request) {
  std::size_t bytes = 0;
  for (const Message& message : request.messages) bytes += message.content.size();
  return model.check_length(bytes);
}

struct Prepared {
  chat::Recalled recalled;
  chat::RenderedChat rendered;
};

Result<Prepared> prepare(ModelService& model, const ChatRequest& request, const std::string& salt) {
  TRY_OK(check_length(model, request));
  Prepared out;
  out.recalled = model.turns().recall(request.messages, request.tools, salt);
  TRY(out.rendered, model.renderer().render(request, &out.recalled));
  return out;
}

// Conversations on their way to one answer.
class ChatStart {
 public:
  ChatStart(ModelService& model, ChatFormat format, const http::Request& http_request,
            std::shared_ptr<http::Exchange> exchange)
      : model_(model), format_(std::move(format)), http_request_(http_request), exchange_(std::move(exchange)) {}

  // Renders the conversation and adds its choices; nothing is answered.
  Status add(const ChatRequest& request, bool progress) {
    GenerateRequest one;
    one.cache_salt = model_.salt_of(http_request_);
    TRY(Prepared prepared, prepare(model_, request, one.cache_salt));
    chat::RenderedChat& rendered = prepared.rendered;
    TRY_OK(model_.generator().check_length(rendered.prompt.tokens.size()));
    const chat::Chosen& chosen = model_.renderer().dialect();
    bool is_new = false;
    TRY(one.constraint,
        model_.constraints().write(request, rendered.in_reasoning, &is_new, [this] { return exchange_->closed(); }));
    if (is_new) {  // agents send the same tools at every turn
      for (const std::string& relaxed : one.constraint.relaxed)
        log::warn("schema relaxed", {{"id", format_.id}, {"what", relaxed}});
    }
    log_prompt(format_.id, rendered);
    if (memories_.empty()) to_check_ = schemas_to_check(request, one.constraint);
    constrained_ = !one.constraint.lark.empty();

    one.prompt = std::move(rendered.prompt);
    one.sampling = request.sampling;
    one.tokens_max = request.tokens_max;
    if (one.tokens_max == 0) one.tokens_max = 1;  // a turn has a token; its encoder shows none
    one.stops = request.stops;
    one.reasoning = reasoning_limit(*chosen.dialect, rendered.in_reasoning, request.reasoning, model_.vocab());
    one.markers = model_.renderer().markers();
    one.session = session_key(http_request_, request.session);
    one.priority = priority_of(request, one.session);
    one.progress = progress;
    memories_.push_back({model_.turns(), prepared.recalled.key, rendered.mark, one.markers});
    for (std::int32_t i = 0; i < request.choices; ++i) {
      requests_.push_back(one);
      if (one.sampling.seed) *requests_.back().sampling.seed += static_cast<std::uint64_t>(i);
      parsers_.push_back(parser_of(request, chosen, rendered.in_reasoning));
    }
    return {};
  }

  Status start(bool streamed) {
    for (std::size_t i = 0; i < requests_.size(); ++i)
      requests_[i].id = requests_.size() > 1 ? fmt::format("{}-{}", format_.id, i) : format_.id;
    TurnOptions options{streamed, format_.wire, requests_.size() / memories_.size(), std::move(format_.headers)};
    CallRules rules{model_.metrics(), model_.call_checker(), constrained_, std::move(to_check_)};
    auto writer = std::make_unique<ChatWriter>(format_.id, streamed, std::move(format_.encoder), model_.vocab(),
                                               std::move(parsers_), std::move(memories_), std::move(rules));
    return std::make_shared<Turn>(exchange_, std::move(writer), std::move(options))
        ->start(model_.generator(), std::move(requests_));
  }

 private:
  std::unique_ptr<chat::Parser> parser_of(const ChatRequest& request, const chat::Chosen& chosen,
                                          bool in_reasoning) const {
    chat::ParserOptions options{request.tool_choice.use == ToolUse::none ? std::vector<Tool>() : request.tools,
                                chosen.reasons, in_reasoning,
                                [prefix = format_.call_prefix] { return prefix + random_id(); }};
    return chat::make_parser(*chosen.dialect, std::move(options));
  }

  ModelService& model_;
  ChatFormat format_;
  const http::Request& http_request_;
  const std::shared_ptr<http::Exchange> exchange_;
  std::vector<GenerateRequest> requests_;
  std::vector<std::unique_ptr<chat::Parser>> parsers_;
  std::vector<TurnMemory> memories_;
  std::map<std::string, std::string> to_check_;
  bool constrained_ = true;
};

}  // namespace

std::string answer_model(const ModelService& model, const std::string& requested) {
  return requested.empty() ? model.name() : requested;
}

Result<std::size_t> prompt_tokens(ModelService& model, const ChatRequest& request, const std::string& salt) {
  TRY(const Prepared prepared, prepare(model, request, salt));
  return prepared.rendered.prompt.tokens.size();
}

Status start_chat(ModelService& model, const ChatRequest& request, ChatFormat format, const http::Request& http_request,
                  const std::shared_ptr<http::Exchange>& exchange) {
  ChatStart start(model, std::move(format), http_request, exchange);
  TRY_OK(start.add(request, /*progress=*/false));
  return start.start(request.stream);
}

namespace {

Status start_openai_chat(ModelService& model, const http::Request& http_request,
                         const std::shared_ptr<http::Exchange>& exchange) {
  TRY(api::ChatBatch batch, api::parse_chat_batch(http_request.body, model.defaults(), &model.request_memory()));
  ChatRequest& request = batch.request;
  const auto choices = request.choices * static_cast<std::int32_t>(1 + batch.others.size());
  ChatFormat format;
  format.id = "chatcmpl-" + random_id();
  api::ResponseHead head{format.id, answer_model(model, request.model), unix_time_s()};
  format.encoder = std::make_unique<api::ChatEncoder>(std::move(head), choices, request.stream_usage, model.vocab(),
                                                      api::custom_tools(request.tools));
  ChatStart start(model, std::move(format), http_request, exchange);
  TRY_OK(start.add(request, batch.progress));
  for (std::vector<Message>& messages : batch.others) {
    request.messages = std::move(messages);
    TRY_OK(start.add(request, batch.progress));
  }
  return start.start(request.stream);
}

}  // namespace

void serve_chat(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange) {
  if (const Status started = start_openai_chat(model, request, exchange); !started)
    answer_error(*exchange, started.error());
}

}  // namespace kvern::app
