// The request fields that chat and text completions share: sampling, limits, format, streaming.
//
// OpenAI's names first, then the names users of llama-server, vLLM and MLX servers send:
// n_predict, top_k, min_p, repeat_penalty or repetition_penalty, repeat_last_n or
// repetition_context_size, session_id. Thread: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/fields.h"
#include "api/format_fields.h"
#include "core/chat_request.h"
#include "core/request_defaults.h"

namespace kvern::api {

Status read_sampling(const Fields& body, SamplingParams& out);  // all but log probabilities
Status read_token_limit(const Fields& body, std::optional<std::int32_t>& out);
// One spelling of it. What was read before stays; -1 says "no limit", as llama-server and LM Studio have it.
Status read_token_limit(const Fields& body, std::string_view name, std::optional<std::int32_t>& out);
Status read_stops(const Fields& body, std::string_view name, std::vector<std::string>& out);
Status read_session(const Fields& body, std::string& out);
Status read_choices(const Fields& body, std::int32_t& out);

struct Streaming {
  bool stream = false;
  bool usage = false;
};
Result<Streaming> read_streaming(const Fields& body);

// Request: ChatRequest or CompletionRequest.
template <typename Request>
Status read_generation(const Fields& body, const RequestDefaults& defaults, Request& request) {
  TRY_OK(body.text("model", request.model));
  request.sampling = defaults.sampling;
  TRY_OK(read_sampling(body, request.sampling));
  TRY_OK(read_token_limit(body, request.tokens_max));
  if (!request.tokens_max) request.tokens_max = defaults.tokens_max;
  TRY_OK(read_stops(body, "stop", request.stops));
  TRY(request.format, read_format(body));
  TRY_OK(read_session(body, request.session));
  TRY_OK(read_choices(body, request.choices));
  TRY(const Streaming streaming, read_streaming(body));
  request.stream = streaming.stream;
  request.stream_usage = streaming.usage;
  return {};
}

}  // namespace kvern::api
