#include <utility>

#include "api/openai_completions.h"
#include "api/wire_error.h"
#include "app/answer.h"
#include "app/chat_service.h"
#include "app/ids.h"
#include "app/text_requests.h"
#include "app/turn.h"
#include "base/clock.h"

namespace kvern::app {
namespace {

class CompletionWriter final : public TurnWriter {
 public:
  CompletionWriter(api::ResponseHead head, const CompletionRequest& request, const Vocab& vocab,
                   std::vector<std::string> echoes)
      : head_(std::move(head)),
        vocab_(vocab),
        streamed_(request.stream),
        encoder_(head_, request.stream_usage, vocab),
        echoes_(std::move(echoes)),
        choices_(echoes_.size()) {}

  void begin(std::vector<api::Frame>& frames) override {
    for (std::size_t i = 0; i < echoes_.size(); ++i) {
      if (!echoes_[i].empty()) encoder_.text(static_cast<std::int32_t>(i), echoes_[i], {}, frames);
    }
  }

  void step(std::size_t choice, const Step& step, std::vector<api::Frame>& frames) override {
    if (streamed_) {
      if (step.text.empty() && !step.logprobs) return;
      const std::span<const StepLogprobs> some(step.logprobs ? &*step.logprobs : nullptr, step.logprobs ? 1 : 0);
      encoder_.text(static_cast<std::int32_t>(choice), step.text, some, frames);
    } else {
      choices_[choice].text += step.text;
      if (step.logprobs) choices_[choice].logprobs.push_back(*step.logprobs);
    }
  }

  void ending(std::size_t choice, const Ending& ending, std::vector<api::Frame>& frames) override {
    choices_[choice].reason = ending.reason;
    if (streamed_ && ending.reason != FinishReason::failed)
      encoder_.ending(static_cast<std::int32_t>(choice), ending.reason, frames);
  }

  void done(const Usage& usage, std::vector<api::Frame>& frames) override { encoder_.done(usage, frames); }

  void failed(const Error& error, std::vector<api::Frame>& frames) override {
    frames.push_back({"", api::openai_error_frame(error)});
  }

  std::string body(const Usage& usage) override {
    for (std::size_t i = 0; i < choices_.size(); ++i) choices_[i].text.insert(0, echoes_[i]);
    return api::encode_completion_response(head_, choices_, usage, vocab_);
  }

 private:
  api::ResponseHead head_;
  const Vocab& vocab_;
  bool streamed_;
  api::CompletionStreamEncoder encoder_;
  std::vector<std::string> echoes_;
  std::vector<api::TextChoice> choices_;
};

std::string text_of(const CompletionRequest::Prompt& prompt, const Vocab& vocab) {
  if (prompt.tokens.empty()) return prompt.text;
  std::string text;
  for (const TokenId token : prompt.tokens) text += vocab.piece(token);
  return text;
}

Status start_completions(ModelService& model, const http::Request& http_request,
                         const std::shared_ptr<http::Exchange>& exchange) {
  TRY(const CompletionRequest request, api::parse_completion_request(http_request.body, model.defaults()));
  const std::string id = "cmpl-" + random_id();
  TRY(std::vector<GenerateRequest> requests, text_requests(model, request, id, http_request));
  std::vector<std::string> echoes(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!requests[i].tokens_max) requests[i].tokens_max = 16;  // OpenAI's default for this endpoint
    const std::size_t prompt = i / static_cast<std::size_t>(request.choices);
    if (request.echo) echoes[i] = text_of(request.prompts[prompt], model.vocab());
  }
  api::ResponseHead head{id, answer_model(model, request.model), unix_time_s()};
  auto writer = std::make_unique<CompletionWriter>(std::move(head), request, model.vocab(), std::move(echoes));
  const TurnOptions options{.streamed = request.stream,
                            .choices_per_prompt = static_cast<std::size_t>(request.choices)};
  return std::make_shared<Turn>(exchange, std::move(writer), options)->start(model.generator(), std::move(requests));
}

}  // namespace

void serve_completions(ModelService& model, const http::Request& request,
                       const std::shared_ptr<http::Exchange>& exchange) {
  if (const Status started = start_completions(model, request, exchange); !started)
    answer_error(*exchange, started.error());
}

}  // namespace kvern::app
