// A request of any wire format -> prompt, constraint, turn.
//
// Thread: prep. Errors are answered here; on success the turn answers.
#pragma once

#include <memory>
#include <string>

#include "api/answer_encoder.h"
#include "api/wire_error.h"
#include "app/model_service.h"
#include "http/server.h"

namespace kvern::app {

// What the formats of chat requests differ in once they are read.
struct ChatFormat {
  api::Wire wire = api::Wire::openai;
  std::string id;                     // of the answer: "chatcmpl-..."
  std::string call_prefix = "call_";  // of the ids calls get
  http::Headers headers;              // of the answer
  std::unique_ptr<api::AnswerEncoder> encoder;
};

// Starts the turn, or says why not with nothing answered yet.
Status start_chat(ModelService& model, const ChatRequest& request, ChatFormat format, const http::Request& http_request,
                  const std::shared_ptr<http::Exchange>& exchange);

// How many tokens the request's prompt has.
Result<std::size_t> prompt_tokens(ModelService& model, const ChatRequest& request, const std::string& salt);

// The name an answer carries: as requested, or the served one.
std::string answer_model(const ModelService& model, const std::string& requested);

void serve_chat(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange);
void serve_completions(ModelService& model, const http::Request& request,
                       const std::shared_ptr<http::Exchange>& exchange);
// llama-server's own /completion.
void serve_llama_completion(ModelService& model, const http::Request& request,
                            const std::shared_ptr<http::Exchange>& exchange);

}  // namespace kvern::app
