#include "app/chat_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/openai_chat.h"
#include "app/answer.h"
#include "app/ids.h"
#include "app/turn.h"
#include "base/clock.h"
#include "base/log.h"

namespace kvern::app {
namespace {

// What a finished turn is remembered under and with.
struct Memory {
  chat::TurnIndex& turns;
  chat::ConversationKey conversation;
  chat::PromptMark prompt;
  std::vector<TokenId> markers;
};

// Reads each choice's text with the dialect, hands the events to the encoder, and remembers turns that
// came to their end.
class ChatWriter final : public TurnWriter {
 public:
  ChatWriter(api::ResponseHead head, const ChatRequest& request, const Vocab& vocab,
             std::vector<std::unique_ptr<chat::Parser>> parsers, Memory memory)
      : head_(std::move(head)),
        vocab_(vocab),
        streamed_(request.stream),
        encoder_(head_, request.choices, request.stream_usage, vocab),
        parsers_(std::move(parsers)),
        memory_(std::move(memory)),
        choices_(parsers_.size()),
        lived_(parsers_.size()) {}

  void begin(std::vector<api::Frame>& frames) override { encoder_.start(frames); }

  void step(std::size_t choice, const Step& step, std::vector<api::Frame>& frames) override {
    if (step.token >= 0) lived_[choice].tokens.push_back(step.token);
    lived_[choice].text += step.text;
    events_.clear();
    parsers_[choice]->feed(step.text, events_);
    publish(choice, step.logprobs, frames);
  }

  void ending(std::size_t choice, const Ending& ending, std::vector<api::Frame>& frames) override {
    events_.clear();
    parsers_[choice]->finish(events_);
    publish(choice, std::nullopt, frames);
    choices_[choice].reason = ending.reason;
    if (streamed_ && ending.reason != FinishReason::failed)
      encoder_.ending(static_cast<std::int32_t>(choice), ending.reason, frames);
    if (can_be_remembered(choice, ending)) remember(choice);
  }

  void done(const Usage& usage, std::vector<api::Frame>& frames) override { encoder_.done(usage, frames); }

  std::string body(const Usage& usage) override { return api::encode_chat_response(head_, choices_, usage, vocab_); }

 private:
  struct Lived {
    std::vector<TokenId> tokens;
    std::string text;
  };

  void publish(std::size_t choice, const std::optional<StepLogprobs>& logprobs, std::vector<api::Frame>& frames) {
    for (const Event& event : events_) api::collect(choices_[choice], event);
    if (!streamed_) {
      if (logprobs) choices_[choice].logprobs.push_back(*logprobs);
      return;
    }
    if (events_.empty() && !logprobs) return;
    const std::span<const StepLogprobs> some(logprobs ? &*logprobs : nullptr, logprobs ? 1 : 0);
    encoder_.events(static_cast<std::int32_t>(choice), events_, some, frames);
  }

  // A stop string is not in the text but in the tokens; a control token that is no marker is not in
  // the text either, so no client could send it back.
  bool can_be_remembered(std::size_t choice, const Ending& ending) const {
    if (ending.reason == FinishReason::cancelled || ending.reason == FinishReason::failed || !ending.stop.empty())
      return false;
    const auto& tokens = lived_[choice].tokens;
    return std::none_of(tokens.begin(), tokens.end(), [this](TokenId token) {
      const auto& markers = memory_.markers;
      return vocab_.is_control(token) && std::find(markers.begin(), markers.end(), token) == markers.end();
    });
  }

  void remember(std::size_t choice) {
    const api::Choice& said = choices_[choice];
    chat::GeneratedTurn turn;
    turn.prompt = memory_.prompt;
    turn.tokens = std::move(lived_[choice].tokens);
    turn.text = std::move(lived_[choice].text);
    turn.message.role = Role::assistant;
    turn.message.content = said.content;
    turn.message.reasoning = said.reasoning;
    turn.message.tool_calls = said.tool_calls;
    memory_.turns.remember(memory_.conversation, std::move(turn));
  }

  api::ResponseHead head_;
  const Vocab& vocab_;
  bool streamed_;
  api::ChatStreamEncoder encoder_;
  std::vector<std::unique_ptr<chat::Parser>> parsers_;
  Memory memory_;
  std::vector<api::Choice> choices_;  // as the client got them
  std::vector<Lived> lived_;
  std::vector<Event> events_;
};

void log_prompt(const std::string& id, const chat::RenderedChat& rendered) {
  if (rendered.dropped_transport_header)
    log::info("transport header dropped", {{"id", id}, {"header", "x-anthropic-billing-header"}});
  if (rendered.turns_recalled > 0)
    log::debug("turns", {{"id", id}, {"recalled", rendered.turns_recalled}, {"replayed", rendered.turns_replayed}});
}

Status start_chat(ModelService& model, const http::Request& http_request,
                  const std::shared_ptr<http::Exchange>& exchange) {
  TRY(const ChatRequest request, api::parse_chat_request(http_request.body));
  TRY_OK(model.check_model(request.model));
  std::size_t bytes = 0;
  for (const Message& message : request.messages) bytes += message.content.size();
  TRY_OK(model.check_length(bytes));
  const std::string salt = model.salt_of(http_request);
  const chat::Recalled recalled = model.turns().recall(request.messages, request.tools, salt);
  TRY(chat::RenderedChat rendered, model.renderer().render(request, &recalled));
  const chat::Chosen& chosen = model.renderer().dialect();
  TRY(ConstraintSpec constraint, chat::write_constraint(*chosen.dialect, chosen.reasons, rendered.in_reasoning, request,
                                                        model.vocab(), model.fitter()));
  const std::string id = "chatcmpl-" + random_id();
  for (const std::string& relaxed : constraint.relaxed) log::warn("schema relaxed", {{"id", id}, {"what", relaxed}});
  log_prompt(id, rendered);

  const std::vector<TokenId> markers = chat::marker_tokens(*chosen.dialect, model.vocab());
  std::vector<std::unique_ptr<chat::Parser>> parsers;
  std::vector<GenerateRequest> requests;
  for (std::int32_t i = 0; i < request.choices; ++i) {
    chat::ParserOptions options{request.tool_choice.use == ToolUse::none ? std::vector<Tool>() : request.tools,
                                chosen.reasons, rendered.in_reasoning, [] { return "call_" + random_id(); }};
    parsers.push_back(chat::make_parser(*chosen.dialect, std::move(options)));
    GenerateRequest one;
    one.id = request.choices > 1 ? fmt::format("{}-{}", id, i) : id;
    one.prompt = rendered.prompt;
    one.constraint = constraint;
    one.sampling = request.sampling;
    if (one.sampling.seed) *one.sampling.seed += static_cast<std::uint64_t>(i);  // choices differ
    one.tokens_max = request.tokens_max;
    one.stops = request.stops;
    one.markers = markers;
    one.session = request.session;
    one.cache_salt = salt;
    requests.push_back(std::move(one));
  }
  api::ResponseHead head{id, request.model.empty() ? model.name() : request.model, unix_time_s()};
  auto writer = std::make_unique<ChatWriter>(std::move(head), request, model.vocab(), std::move(parsers),
                                             Memory{model.turns(), recalled.key, rendered.mark, markers});
  const TurnOptions options{request.stream, static_cast<std::size_t>(request.choices)};
  return std::make_shared<Turn>(exchange, std::move(writer), options)->start(model.generator(), std::move(requests));
}

}  // namespace

void serve_chat(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange) {
  if (const Status started = start_chat(model, request, exchange); !started) answer_error(*exchange, started.error());
}

}  // namespace kvern::app
