#include <nlohmann/json.hpp>

#include "api/chat_messages.h"
#include "api/chat_tools.h"
#include "api/generation_fields.h"
#include "api/openai_chat.h"
#include "api/reasoning_fields.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

Status read_logprobs(const Fields& body, std::int32_t& out) {
  bool wanted = false;
  std::int32_t best = 0;
  TRY_OK(body.flag("logprobs", wanted));
  TRY_OK(body.integer("top_logprobs", {0, static_cast<std::int64_t>(limits::kTopLogprobs)}, best));
  if (best > 0 && !wanted)
    return fail(Code::invalid, "top_logprobs needs logprobs to be true", body.path_of("top_logprobs"));
  if (wanted) out = best;
  return {};
}

}  // namespace

Result<ChatRequest> parse_chat_request(std::string_view body) {
  TRY(const Json document, parse_body(body));
  TRY(const Fields fields, Fields::of(document, ""));
  ChatRequest request;
  TRY_OK(read_generation(fields, request));
  TRY_OK(read_logprobs(fields, request.sampling.top_logprobs));
  TRY(request.messages, read_messages(fields));
  TRY(request.tools, read_tools(fields));
  TRY(request.tool_choice, read_tool_choice(fields, request.tools));
  TRY_OK(fields.flag("parallel_tool_calls", request.parallel_tool_calls));
  TRY(ReasoningFields reasoning, read_reasoning_fields(fields));
  request.reasoning = std::move(reasoning.reasoning);
  request.template_kwargs = std::move(reasoning.template_kwargs);
  return request;
}

}  // namespace kvern::api
