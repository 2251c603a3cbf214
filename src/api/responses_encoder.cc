#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>
#include <variant>

#include "api/openai_chat.h"
#include "api/openai_responses.h"
#include "api/response_text.h"
#include "api/responses_item.h"
#include "api/wire_error.h"
#include "base/json_text.h"

namespace kvern::api {
namespace {

constexpr std::size_t kTagBytes = 24;

std::string_view prefix_of(CallKind kind) {
  switch (kind) {
    case CallKind::function: return "fc";
    case CallKind::custom: return "ctc";
    case CallKind::tool_search: return "tsc";
    case CallKind::local_shell: return "lsh";
  }
  return "fc";
}

// OpenAI's codes: a client stops at this one, and tries again after any other.
std::string_view failure_code(const Error& error) {
  return error.code == Code::too_long ? openai_error_code(error) : "server_error";
}

bool is_alphanumeric(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

}  // namespace

std::string_view tag_of_item(std::string_view id) {
  const std::size_t begin = id.find('_');
  const std::size_t end = id.rfind('_');
  if (begin == std::string_view::npos || end != begin + 1 + kTagBytes) return {};
  const std::string_view tag = id.substr(begin + 1, kTagBytes);
  return std::all_of(tag.begin(), tag.end(), is_alphanumeric) ? tag : std::string_view();
}

ResponsesEncoder::ResponsesEncoder(ResponsesHead head) : head_(std::move(head)) {}
ResponsesEncoder::~ResponsesEncoder() = default;

void ResponsesEncoder::frame(std::string_view type, std::string_view members, std::vector<Frame>& out) {
  std::string data = fmt::format(R"({{"type":"response.{}","sequence_number":{},{}}})", type, sequence_++, members);
  out.push_back({fmt::format("response.{}", type), std::move(data)});
}

void ResponsesEncoder::start(std::vector<Frame>& out) {
  const std::string begun = "\"response\":" + response("in_progress", nullptr, nullptr);
  frame("created", begun, out);
  frame("in_progress", begun, out);
}

void ResponsesEncoder::events(std::int32_t, std::span<const Event> events, std::span<const StepLogprobs>,
                              std::vector<Frame>& out) {
  for (const Event& event : events) take(event, out);
}

void ResponsesEncoder::take(const Event& event, std::vector<Frame>& out) {
  if (const auto* text = std::get_if<TextEvent>(&event)) {
    add_words(/*reasoning=*/false, text->text, out);
  } else if (const auto* reasoning = std::get_if<ReasoningEvent>(&event)) {
    add_words(/*reasoning=*/true, reasoning->text, out);
  } else if (const auto* call = std::get_if<CallStartEvent>(&event)) {
    begin_call(*call, out);
  } else if (const auto* arguments = std::get_if<CallArgsEvent>(&event)) {
    add_arguments(arguments->text, out);
  } else {
    close("completed", out);
  }
}

// "item_id":...,"output_index":N[,"content_index":0], of the last item
std::string ResponsesEncoder::place() const {
  const Item& item = items_.back();
  std::string out = "\"item_id\":";
  append_json_string(out, item.id);
  out += fmt::format(",\"output_index\":{}", items_.size() - 1);
  if (item.has_content()) out += ",\"content_index\":0";
  return out;
}

void ResponsesEncoder::announce(Item item, std::string_view prefix, std::vector<Frame>& out) {
  close("completed", out);
  item.id = fmt::format("{}_{}_{}", prefix, head_.tag, items_.size());
  items_.push_back(std::move(item));
  open_ = true;
  const Item& added = items_.back();
  frame("output_item.added",
        fmt::format("\"output_index\":{},\"item\":{}", items_.size() - 1, added.json(/*announced=*/true, false)), out);
  if (added.has_content()) frame("content_part.added", fmt::format("{},\"part\":{}", place(), added.part("")), out);
}

void ResponsesEncoder::add_words(bool reasoning, std::string_view text, std::vector<Frame>& out) {
  if (text.empty()) return;
  const Item::Kind kind = reasoning ? Item::Kind::reasoning : Item::Kind::message;
  if (!open_ || items_.back().kind != kind) {
    Item item;
    item.kind = kind;
    announce(std::move(item), reasoning ? "rs" : "msg", out);
  }
  add_text(text, out);
}

void ResponsesEncoder::begin_call(const CallStartEvent& event, std::vector<Frame>& out) {
  Item item;
  item.kind = Item::Kind::call;
  item.call_id = event.id;
  const auto known = head_.names.find(event.name);
  item.call = known != head_.names.end() ? known->second : CallName{CallKind::function, event.name};
  const std::string_view prefix = prefix_of(item.call.kind);
  announce(std::move(item), prefix, out);
}

void ResponsesEncoder::add_arguments(std::string_view text, std::vector<Frame>& out) {
  if (!open_ || items_.back().kind != Item::Kind::call) return;
  Item& item = items_.back();
  if (item.call.kind != CallKind::custom) return add_text(text, out);
  std::string input;
  item.input.feed(text, input);
  add_text(input, out);
}

void ResponsesEncoder::add_text(std::string_view text, std::vector<Frame>& out) {
  Item& item = items_.back();
  item.text += text;
  const std::string_view name = item.text_event().name;
  if (text.empty() || name.empty()) return;
  std::string members = place() + ",\"delta\":";
  append_json_string(members, text);
  if (item.kind == Item::Kind::message) members += ",\"logprobs\":[]";
  frame(fmt::format("{}.delta", name), members, out);
}

void ResponsesEncoder::close(std::string_view status, std::vector<Frame>& out) {
  if (!open_) return;
  open_ = false;
  Item& item = items_.back();
  item.status = status;
  if (const auto [name, field] = item.text_event(); !name.empty()) {
    std::string members = place();
    if (item.kind == Item::Kind::call && item.call.kind == CallKind::function) {
      members += ",\"name\":";
      append_json_string(members, item.call.name);
    }
    members += fmt::format(",\"{}\":", field);
    append_json_string(members, item.text);
    if (item.kind == Item::Kind::message) members += ",\"logprobs\":[]";
    frame(fmt::format("{}.done", name), members, out);
  }
  if (item.has_content()) frame("content_part.done", fmt::format("{},\"part\":{}", place(), item.part(item.text)), out);
  frame("output_item.done",
        fmt::format("\"output_index\":{},\"item\":{}", items_.size() - 1, item.json(false, head_.seals_reasoning)),
        out);
}

void ResponsesEncoder::ending(std::int32_t, FinishReason reason, std::string_view, std::vector<Frame>& out) {
  reason_ = reason;
  close(reason == FinishReason::stop ? "completed" : "incomplete", out);
}

void ResponsesEncoder::done(const Usage& usage, std::vector<Frame>& out) {
  if (reason_ == FinishReason::cancelled) {
    const Error error{Code::cancelled, "the server stopped before the answer was complete", ""};
    body_ = response("failed", &error, &usage);
    return frame("failed", "\"response\":" + body_, out);
  }
  const std::string_view status = reason_ == FinishReason::length ? "incomplete" : "completed";
  body_ = response(status, nullptr, &usage);
  frame(status, "\"response\":" + body_, out);
}

void ResponsesEncoder::failed(const Error& error, std::vector<Frame>& out) {
  close("incomplete", out);
  frame("failed", "\"response\":" + response("failed", &error, nullptr), out);
}

// The stream, collected: the same items whether they were streamed or not.
std::string ResponsesEncoder::whole(std::span<const Choice> choices, const Usage& usage) {
  std::vector<Frame> frames;
  const Choice& choice = choices.front();
  for (const Event& event : events_of(choice)) take(event, frames);
  ending(0, choice.reason, choice.stop, frames);
  done(usage, frames);
  return body_;
}

std::vector<ItemText> ResponsesEncoder::items() const {
  std::vector<ItemText> out;
  for (const Item& item : items_)
    out.push_back(std::make_shared<const std::string>(item.json(false, head_.seals_reasoning)));
  return out;
}

std::string ResponsesEncoder::response(std::string_view status, const Error* error, const Usage* usage) const {
  std::string out = "{\"id\":";
  append_json_string(out, std::string(kResponsePrefix) + head_.tag);
  out += R"(,"object":"response","created_at":)";
  append_number(out, head_.created_s);
  out += fmt::format(R"(,"status":"{}","error":)", status);
  if (error == nullptr) {
    out += "null";
  } else {
    out += fmt::format(R"({{"code":"{}","message":)", failure_code(*error));
    append_json_string(out, error->message);
    out += '}';
  }
  out += R"(,"incomplete_details":)";
  out += status == "incomplete" ? R"({"reason":"max_output_tokens"})" : "null";
  out += ",\"model\":";
  append_json_string(out, head_.model);
  out += ",\"output\":[";
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (i > 0) out += ',';
    out += items_[i].json(false, head_.seals_reasoning);
  }
  out += "],\"usage\":";
  out += usage == nullptr ? "null" : encode_responses_usage(*usage);
  if (!head_.echo.empty()) out += ',' + head_.echo;
  out += '}';
  return out;
}

std::string encode_responses_usage(const Usage& usage) {
  const std::int64_t total = std::int64_t{usage.prompt_tokens} + usage.completion_tokens;
  return fmt::format(R"({{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{},"cache_write_tokens":0}},)"
                     R"("output_tokens":{},"output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{},)"
                     R"("kvern":{}}})",
                     usage.prompt_tokens, usage.reused_tokens(), usage.completion_tokens, usage.reasoning_tokens, total,
                     usage_details(usage));
}

}  // namespace kvern::api
