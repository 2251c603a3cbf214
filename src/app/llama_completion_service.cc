#include <utility>

#include "api/llama_completion.h"
#include "api/wire_error.h"
#include "app/answer.h"
#include "app/chat_service.h"
#include "app/ids.h"
#include "app/text_requests.h"
#include "app/turn.h"

namespace kvern::app {
namespace {

class LlamaCompletionWriter final : public TurnWriter {
 public:
  LlamaCompletionWriter(api::LlamaCompletionEncoder encoder, bool streamed, std::size_t choices)
      : encoder_(std::move(encoder)), streamed_(streamed), choices_(choices) {}

  void begin(std::vector<api::Frame>&) override {}

  void step(std::size_t choice, const Step& step, std::vector<api::Frame>& frames) override {
    if (streamed_) return encoder_.step(choice, step, frames);
    choices_[choice].text += step.text;
    if (step.token >= 0) choices_[choice].tokens.push_back(step.token);
    if (step.logprobs) choices_[choice].logprobs.push_back(*step.logprobs);
  }

  void ending(std::size_t choice, const Ending& ending, std::vector<api::Frame>& frames) override {
    choices_[choice].ending = ending;
    if (streamed_ && ending.reason != FinishReason::failed) encoder_.ending(choice, ending, frames);
  }

  // The last frame is the last choice's: llama-server sends no [DONE] here.
  void done(const Usage&, std::vector<api::Frame>&) override {}

  void failed(const Error& error, std::vector<api::Frame>& frames) override {
    frames.push_back({"", api::openai_error_frame(error)});
  }

  std::string body(const Usage&) override { return encoder_.whole(choices_); }

 private:
  api::LlamaCompletionEncoder encoder_;
  bool streamed_;
  std::vector<api::LlamaChoice> choices_;
};

Status start(ModelService& model, const http::Request& http_request, const std::shared_ptr<http::Exchange>& exchange) {
  TRY(const api::LlamaCompletion wanted, api::parse_llama_completion(http_request.body, model.defaults()));
  const CompletionRequest& request = wanted.request;
  TRY(std::vector<GenerateRequest> requests, text_requests(model, request, "cmpl-" + random_id(), http_request));
  std::vector<std::int32_t> prompt_tokens;
  for (GenerateRequest& one : requests) {
    one.progress = wanted.progress;
    prompt_tokens.push_back(static_cast<std::int32_t>(one.prompt.tokens.size()));
  }
  api::LlamaCompletionEncoder encoder(answer_model(model, request.model), wanted, std::move(prompt_tokens),
                                      model.vocab());
  auto writer = std::make_unique<LlamaCompletionWriter>(std::move(encoder), request.stream, requests.size());
  const TurnOptions options{.streamed = request.stream,
                            .choices_per_prompt = static_cast<std::size_t>(request.choices)};
  return std::make_shared<Turn>(exchange, std::move(writer), options)->start(model.generator(), std::move(requests));
}

}  // namespace

void serve_llama_completion(ModelService& model, const http::Request& request,
                            const std::shared_ptr<http::Exchange>& exchange) {
  if (const Status started = start(model, request, exchange); !started) answer_error(*exchange, started.error());
}

}  // namespace kvern::app
