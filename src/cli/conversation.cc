#include "cli/conversation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace kvern::cli {
namespace {

// The member when it is there and of that kind: servers other than ours may leave things out.
const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

std::string text_member(const Json& object, const char* name) {
  const Json* value = member(object, name);
  return value && value->is_string() ? value->get<std::string>() : std::string();
}

std::int64_t count_member(const Json& object, const char* name) {
  const Json* value = member(object, name);
  return value && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

std::optional<std::string> error_message(const Json& body) {
  const Json* error = member(body, "error");
  if (!error || error->is_null()) return std::nullopt;
  if (error->is_string()) return error->get<std::string>();
  const std::string message = text_member(*error, "message");
  return message.empty() ? "the server reported an error without saying which" : message;
}

TurnUsage read_usage(const Json& usage) {
  TurnUsage out;
  out.prompt_tokens = count_member(usage, "prompt_tokens");
  out.completion_tokens = count_member(usage, "completion_tokens");
  if (const Json* details = member(usage, "prompt_tokens_details")) {
    out.reused_tokens = count_member(*details, "cached_tokens");
  }
  if (const Json* ours = member(usage, "kvern")) {
    if (const Json* ttft = member(*ours, "ttft_ms"); ttft && ttft->is_number()) out.ttft_ms = ttft->get<double>();
  }
  return out;
}

}  // namespace

Result<Piece> read_piece(std::string_view data) {
  Piece piece;
  if (data == "[DONE]") {
    piece.done = true;
    return piece;
  }
  TRY(const Json chunk, parse_json(data));
  if (const auto message = error_message(chunk)) return fail(Code::failed, *message);
  if (const Json* usage = member(chunk, "usage"); usage && usage->is_object()) piece.usage = read_usage(*usage);
  const Json* choices = member(chunk, "choices");
  if (!choices || !choices->is_array() || choices->empty()) return piece;
  if (const Json* delta = member(choices->front(), "delta")) {
    piece.text = text_member(*delta, "content");
    piece.reasoning = text_member(*delta, "reasoning_content");
  }
  return piece;
}

Error refused(int status, std::string_view body) {
  const auto parsed = parse_json(body);
  const std::string message = (parsed ? error_message(*parsed) : std::nullopt).value_or(fmt::format("HTTP {}", status));
  if (status == 401 || status == 403) {
    return {Code::unauthorized,
            fmt::format("the server wants a key: {}; give it with --api-key or KVERN_API_KEY", message),
            {}};
  }
  if (status == 503 || status == 429) return {Code::busy, fmt::format("the server is busy: {}", message), {}};
  return {Code::failed, fmt::format("the server refused: {}", message), {}};
}

void Conversation::answered(std::string answer) {
  if (!answer.empty()) {
    turns_.push_back({"assistant", std::move(answer)});
  } else if (!turns_.empty() && turns_.back().role == "user") {
    turns_.pop_back();
  }
}

std::string Conversation::request_body(const Options& options) const {
  Json messages = Json::array();
  if (!system_.empty()) messages.push_back({{"role", "system"}, {"content", system_}});
  for (const Turn& turn : turns_) messages.push_back({{"role", turn.role}, {"content", turn.content}});
  Json body = {{"messages", std::move(messages)}, {"stream", true}, {"stream_options", {{"include_usage", true}}}};
  if (!options.model.empty()) body["model"] = options.model;
  if (options.tokens_max) body["max_tokens"] = *options.tokens_max;
  if (options.temperature) body["temperature"] = *options.temperature;
  return dump_json(body);
}

std::string usage_line(const TurnUsage& usage, double measured_ttft_s, double decode_s) {
  const double ttft_ms = usage.ttft_ms.value_or(measured_ttft_s * 1000);
  std::string line =
      fmt::format("prompt={} reused={} ttft={:.0f}ms", usage.prompt_tokens, usage.reused_tokens, ttft_ms);
  // The first token's time is ttft; the others took decode_s.
  if (usage.completion_tokens > 1 && decode_s > 0) {
    line += fmt::format(" {:.1f} tok/s", static_cast<double>(usage.completion_tokens - 1) / decode_s);
  }
  return line;
}

}  // namespace kvern::cli
