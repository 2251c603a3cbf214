#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "api/anthropic_content.h"
#include "api/anthropic_messages.h"
#include "api/anthropic_tools.h"
#include "api/generation_fields.h"
#include "api/reasoning_fields.h"

namespace kvern::api {
namespace {

Status read_max_tokens(const Fields& body, std::optional<std::int32_t>& out) {
  const Json* value = body.find("max_tokens");
  if (value == nullptr) return {};
  TRY(const std::int64_t tokens, to_integer(*value, {0, INT32_MAX}, body.path_of("max_tokens")));
  out = static_cast<std::int32_t>(tokens);
  return {};
}

// metadata.user_id is any text; Claude Code's is the text of an object with a session_id.
Status read_session_of(const Fields& body, std::string& out) {
  TRY(const std::optional<Fields> metadata, body.object("metadata"));
  if (!metadata) return {};
  TRY_OK(metadata->text("user_id", out));
  const Result<Json> user = parse_json(out);
  if (!user || !user->is_object()) return {};
  const auto session = user->find("session_id");
  if (session != user->end() && session->is_string()) out = session->get<std::string>();
  return {};
}

constexpr std::string_view kLists[] = {"tools", "system"};
constexpr std::string_view kOfItems[] = {"messages"};

Result<ChatRequest> read_request(const RequestBody& body, const RequestDefaults& defaults) {
  const Fields fields = body.fields();
  ChatRequest request;
  TRY_OK(fields.text("model", request.model));
  request.sampling = defaults.sampling;
  TRY_OK(read_sampling(fields, request.sampling));
  request.tokens_max = defaults.tokens_max;
  TRY_OK(read_max_tokens(fields, request.tokens_max));
  TRY_OK(read_stops(fields, "stop_sequences", request.stops));
  TRY(request.format, read_format(fields));
  TRY_OK(read_session_of(fields, request.session));
  TRY_OK(fields.flag("stream", request.stream));
  TRY(OfferedTools tools, OfferedTools::read(body));
  TRY(request.messages, read_anthropic_messages(body, tools));
  request.tools = tools.callable();
  TRY_OK(read_anthropic_tool_choice(fields, tools, request));
  TRY(ReasoningFields reasoning, read_reasoning_fields(fields, defaults.template_kwargs, Unsaid::asked_not));
  request.reasoning = std::move(reasoning.reasoning);
  request.template_kwargs = std::move(reasoning.template_kwargs);
  return request;
}

}  // namespace

Result<ChatRequest> parse_messages_request(std::string_view body, const RequestDefaults& defaults, TextMemory* memory) {
  return read_body(body, {kLists, kOfItems}, memory,
                   [&](const RequestBody& parts) { return read_request(parts, defaults); });
}

}  // namespace kvern::api
