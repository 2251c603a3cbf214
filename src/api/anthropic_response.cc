#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "api/anthropic_messages.h"
#include "api/response_text.h"
#include "api/wire_error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/json_text.h"

namespace kvern::api {
namespace {

using Kind = ChoicePart::Kind;

constexpr std::string_view kEmptyText = R"({"type":"text","text":""})";
constexpr std::string_view kEmptyThinking = R"({"type":"thinking","thinking":"","signature":""})";

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// Clients send it back unchanged and must find one. It says nothing that the text does not say.
std::string signature_of(std::string_view thinking) { return to_hex(sha256(thinking)); }

std::string_view stop_word(FinishReason reason, bool called, std::string_view stop) {
  if (reason == FinishReason::length) return "max_tokens";
  if (!stop.empty()) return "stop_sequence";
  return called || reason == FinishReason::tool_calls ? "tool_use" : "end_turn";
}

void append_stop(std::string& out, std::string_view word, std::string_view stop) {
  out += fmt::format("\"stop_reason\":\"{}\",\"stop_sequence\":", word);
  if (word == "stop_sequence") {
    append_json_string(out, stop);
  } else {
    out += "null";
  }
}

// Tokens that were held are not input tokens: the three numbers add up to the prompt.
std::string usage_object(const Usage& usage, Shown shown) {
  return fmt::format(R"({{"input_tokens":{},"cache_creation_input_tokens":0,"cache_read_input_tokens":{},)"
                     R"("output_tokens":{},"kvern":{}}})",
                     usage.prompt_tokens - usage.reused_tokens(), usage.reused_tokens(),
                     shown == Shown::content ? usage.completion_tokens : 0, usage_details(usage));
}

// {"id":...,"type":"message","role":"assistant","model":...,"content":[
std::string open_message(const ResponseHead& head) {
  std::string out = "{\"id\":";
  append_json_string(out, head.id);
  out += R"(,"type":"message","role":"assistant","model":)";
  append_json_string(out, head.model);
  out += ",\"content\":[";
  return out;
}

// "type":"tool_use","id":...,"name":...,"input":
std::string open_call(std::string_view id, std::string_view name) {
  std::string out = R"({"type":"tool_use","id":)";
  append_json_string(out, id);
  out += ",\"name\":";
  append_json_string(out, name);
  out += ",\"input\":";
  return out;
}

// The model's own text is the input where it is an object. A call that was cut off has none; what there
// was stands beside it.
std::string call_block(const ToolCall& call) {
  std::string out = open_call(call.id, call.name);
  const Result<Json> input = parse_json(call.arguments);
  if (input && input->is_object()) return out + call.arguments + "}";
  out += "{}";
  if (!is_blank(call.arguments)) {
    out += ",\"unparsed_input\":";
    append_json_string(out, call.arguments);
  }
  return out + "}";
}

std::string text_block(std::string_view text) {
  std::string out = R"({"type":"text","text":)";
  append_json_string(out, text);
  return out + "}";
}

std::string thinking_block(std::string_view thinking) {
  std::string out = R"({"type":"thinking","thinking":)";
  append_json_string(out, thinking);
  return out + ",\"signature\":\"" + signature_of(thinking) + "\"}";
}

// The block an event stands for in a whole answer; "" for none: words that are blank, the rest of a call.
std::string block_of(const Event& event, const Choice& choice) {
  if (const auto* text = std::get_if<TextEvent>(&event)) return is_blank(text->text) ? "" : text_block(text->text);
  if (const auto* reasoning = std::get_if<ReasoningEvent>(&event))
    return is_blank(reasoning->text) ? "" : thinking_block(reasoning->text);
  if (const auto* call = std::get_if<CallStartEvent>(&event))
    return call_block(choice.tool_calls[static_cast<std::size_t>(call->index)]);
  return {};
}

void append_content(std::string& out, const Choice& choice) {
  bool first = true;
  for (const Event& event : events_of(choice)) {
    const std::string block = block_of(event, choice);
    if (block.empty()) continue;
    if (!first) out += ',';
    first = false;
    out += block;
  }
}

}  // namespace

std::string encode_token_count(std::int64_t tokens) { return fmt::format("{{\"input_tokens\":{}}}", tokens); }

void MessagesEncoder::start(std::vector<Frame>& out) {
  std::string data = R"({"type":"message_start","message":)" + open_message(head_);
  data += R"(],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,)"
          R"("cache_read_input_tokens":0,"output_tokens":0}}})";
  out.push_back({"message_start", std::move(data)});
}

void MessagesEncoder::open(std::string_view block, std::vector<Frame>& out) {
  open_ = true;
  out.push_back({"content_block_start",
                 fmt::format(R"({{"type":"content_block_start","index":{},"content_block":{}}})", index_, block)});
}

void MessagesEncoder::delta(std::string_view type, std::string_view field, std::string_view text,
                            std::vector<Frame>& out) const {
  std::string data =
      fmt::format(R"({{"type":"content_block_delta","index":{},"delta":{{"type":"{}","{}":)", index_, type, field);
  append_json_string(data, text);
  data += "}}";
  out.push_back({"content_block_delta", std::move(data)});
}

void MessagesEncoder::close(std::vector<Frame>& out) {
  held_.clear();
  if (!open_) return;
  if (kind_ == Kind::reasoning) delta("signature_delta", "signature", signature_of(thinking_), out);
  thinking_.clear();
  out.push_back({"content_block_stop", fmt::format(R"({{"type":"content_block_stop","index":{}}})", index_)});
  open_ = false;
  ++index_;
}

void MessagesEncoder::begin_block(Kind kind, std::vector<Frame>& out) {
  close(out);
  kind_ = kind;
}

void MessagesEncoder::take_text(Kind kind, std::string_view piece, std::vector<Frame>& out) {
  if (piece.empty()) return;
  if (kind != kind_) begin_block(kind, out);
  std::string text = std::exchange(held_, {});
  text += piece;
  if (!open_) {
    if (is_blank(text)) {
      held_ = std::move(text);
      return;
    }
    open(kind == Kind::text ? kEmptyText : kEmptyThinking, out);
  }
  if (kind == Kind::reasoning) thinking_ += text;
  const bool is_text = kind == Kind::text;
  delta(is_text ? "text_delta" : "thinking_delta", is_text ? "text" : "thinking", text, out);
}

void MessagesEncoder::take(const Event& event, std::vector<Frame>& out) {
  if (const auto* text = std::get_if<TextEvent>(&event)) {
    take_text(Kind::text, text->text, out);
  } else if (const auto* reasoning = std::get_if<ReasoningEvent>(&event)) {
    take_text(Kind::reasoning, reasoning->text, out);
  } else if (const auto* call = std::get_if<CallStartEvent>(&event)) {
    begin_block(Kind::call, out);
    called_ = true;
    open(open_call(call->id, call->name) + "{}}", out);
  } else if (const auto* args = std::get_if<CallArgsEvent>(&event)) {
    if (!args->text.empty()) delta("input_json_delta", "partial_json", args->text, out);
  } else {
    close(out);
  }
}

void MessagesEncoder::events(std::int32_t, std::span<const Event> events, std::span<const StepLogprobs>,
                             std::vector<Frame>& out) {
  if (shown_ == Shown::nothing) return;
  for (const Event& event : events) take(event, out);
}

void MessagesEncoder::ending(std::int32_t, FinishReason reason, std::string_view stop, std::vector<Frame>& out) {
  close(out);
  reason_ = reason;
  stop_ = stop;
}

void MessagesEncoder::done(const Usage& usage, std::vector<Frame>& out) {
  std::string data = R"({"type":"message_delta","delta":{)";
  append_stop(data, stop_word(reason_, called_, stop_), stop_);
  data += "},\"usage\":" + usage_object(usage, shown_) + "}";
  out.push_back({"message_delta", std::move(data)});
  out.push_back({"message_stop", R"({"type":"message_stop"})"});
}

void MessagesEncoder::failed(const Error& error, std::vector<Frame>& out) {
  out.push_back({"error", anthropic_error_frame(error)});
}

std::string MessagesEncoder::whole(std::span<const Choice> choices, const Usage& usage) {
  const Choice& choice = choices.front();
  std::string out = open_message(head_);
  if (shown_ == Shown::content) append_content(out, choice);
  out += "],";
  append_stop(out, stop_word(choice.reason, !choice.tool_calls.empty(), choice.stop), choice.stop);
  out += ",\"usage\":" + usage_object(usage, shown_) + "}";
  return out;
}

}  // namespace kvern::api
