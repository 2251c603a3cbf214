#include <fmt/format.h>

#include <iterator>
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

constexpr std::string_view kLists[] = {"tools"};
constexpr std::string_view kOfItems[] = {"messages"};

Result<ChatBatch> read_batch(const RequestBody& body, const RequestDefaults& defaults) {
  const Fields fields = body.fields();
  ChatBatch batch;
  ChatRequest& request = batch.request;
  TRY_OK(read_generation(fields, defaults, request));
  TRY_OK(read_logprobs(fields, request.sampling.top_logprobs));
  TRY(std::vector<std::vector<Message>> conversations, read_conversations(body));
  if (conversations.size() * static_cast<std::size_t>(request.choices) > limits::kChoicesOfRequest)
    return fail(Code::invalid, fmt::format("conversations times n may be at most {}", limits::kChoicesOfRequest), "n");
  request.messages = std::move(conversations.front());
  batch.others.assign(std::make_move_iterator(conversations.begin() + 1), std::make_move_iterator(conversations.end()));
  TRY(request.tools, read_tools(body));
  TRY(request.tool_choice, read_tool_choice(fields, request.tools));
  TRY_OK(fields.flag("parallel_tool_calls", request.parallel_tool_calls));
  TRY(ReasoningFields reasoning, read_reasoning_fields(fields, defaults.template_kwargs));
  request.reasoning = std::move(reasoning.reasoning);
  request.template_kwargs = std::move(reasoning.template_kwargs);
  bool progress = false;
  TRY_OK(fields.flag("return_progress", progress));
  batch.progress = progress && request.stream;
  return batch;
}

}  // namespace

Result<ChatBatch> parse_chat_batch(std::string_view body, const RequestDefaults& defaults, TextMemory* memory) {
  return read_body(body, {kLists, kOfItems}, memory,
                   [&](const RequestBody& parts) { return read_batch(parts, defaults); });
}

Result<ChatRequest> parse_chat_request(std::string_view body, const RequestDefaults& defaults) {
  TRY(ChatBatch batch, parse_chat_batch(body, defaults));
  if (!batch.others.empty()) return fail(Code::invalid, "expected one list of messages, found several", "messages");
  return std::move(batch.request);
}

}  // namespace kvern::api
