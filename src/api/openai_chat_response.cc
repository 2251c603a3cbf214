#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "api/openai_chat.h"
#include "api/response_text.h"
#include "api/wire_error.h"
#include "base/json_text.h"

namespace kvern::api {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// Agents branch on the finish reason: a turn that called a tool and came to its end says so.
FinishReason with_calls(FinishReason reason, bool called) {
  return reason == FinishReason::stop && called ? FinishReason::tool_calls : reason;
}

bool is_custom(const CustomTools& custom, std::string_view name) {
  return std::binary_search(custom.begin(), custom.end(), name);
}

// "id":...,"type":T,T:{"name":...,V:...}
void append_call(std::string& out, const ToolCall& call, const CustomTools& custom) {
  const bool raw = is_custom(custom, call.name);
  out += "\"id\":";
  append_json_string(out, call.id);
  out += raw ? R"(,"type":"custom","custom":{"name":)" : R"(,"type":"function","function":{"name":)";
  append_json_string(out, call.name);
  out += raw ? R"(,"input":)" : R"(,"arguments":)";
  append_json_string(out, raw ? custom_input(call.arguments) : call.arguments);
  out += '}';
}

void append_message(std::string& out, const Choice& choice, const CustomTools& custom) {
  out += "{\"role\":\"assistant\",\"content\":";
  if (choice.content.empty() && !choice.tool_calls.empty()) {
    out += "null";
  } else {
    append_json_string(out, choice.content);
  }
  out += ",\"refusal\":null";
  if (!choice.reasoning.empty()) {
    out += ",\"reasoning_content\":";
    append_json_string(out, choice.reasoning);
  }
  if (!choice.tool_calls.empty()) {
    out += ",\"tool_calls\":[";
    for (std::size_t i = 0; i < choice.tool_calls.size(); ++i) {
      out += i > 0 ? ",{" : "{";
      append_call(out, choice.tool_calls[i], custom);
      out += '}';
    }
    out += ']';
  }
  out += '}';
}

void append_choice(std::string& out, std::size_t index, const Choice& choice, const Vocab& vocab,
                   const CustomTools& custom) {
  out += "{\"index\":";
  append_number(out, static_cast<std::int64_t>(index));
  out += ",\"message\":";
  append_message(out, choice, custom);
  out += ",\"logprobs\":";
  append_chat_logprobs(out, choice.logprobs, vocab);
  out += ",\"finish_reason\":\"";
  out += finish_word(with_calls(choice.reason, !choice.tool_calls.empty()));
  out += "\"}";
}

void append_text_delta(std::string& out, std::string_view field, std::string_view text) {
  out += "{\"";
  out += field;
  out += "\":";
  append_json_string(out, text);
  out += '}';
}

// type and id come once, with the name; index comes in every delta.
void append_call_start(std::string& out, const CallStartEvent& event, const CustomTools& custom) {
  out += "{\"tool_calls\":[{\"index\":";
  append_number(out, event.index);
  out += ',';
  append_call(out, {event.id, event.name, ""}, custom);
  out += "}]}";
}

// kind: "function":{"arguments": or "custom":{"input":
void append_call_piece(std::string& out, std::int32_t index, std::string_view kind, std::string_view text) {
  if (text.empty()) return;
  out += "{\"tool_calls\":[{\"index\":";
  append_number(out, index);
  out += ',';
  out += kind;
  append_json_string(out, text);
  out += "}}]}";
}

void add_bytes(Choice& choice, ChoicePart::Kind kind, std::size_t bytes) {
  if (bytes == 0) return;
  if (choice.parts.empty() || choice.parts.back().kind != kind) choice.parts.push_back({kind});
  choice.parts.back().bytes += bytes;
}

void end_call(Choice& choice, const CallEndEvent& event) {
  const auto index = static_cast<std::size_t>(event.index);
  if (index >= choice.tool_calls.size()) return;
  choice.tool_calls[index].written_id = event.written_id;
  std::size_t call = 0;
  for (ChoicePart& part : choice.parts)
    if (part.kind == ChoicePart::Kind::call && call++ == index) part.call_ended = true;
}

}  // namespace

void collect(Choice& choice, const Event& event) {
  std::visit(Overloaded{[&](const TextEvent& e) {
                          choice.content += e.text;
                          add_bytes(choice, ChoicePart::Kind::text, e.text.size());
                        },
                        [&](const ReasoningEvent& e) {
                          choice.reasoning += e.text;
                          add_bytes(choice, ChoicePart::Kind::reasoning, e.text.size());
                        },
                        [&](const CallStartEvent& e) {
                          choice.tool_calls.push_back({e.id, e.name, ""});
                          choice.parts.push_back({ChoicePart::Kind::call});
                        },
                        [&](const CallArgsEvent& e) {
                          // Arguments belong to the call they name; calls start in the order of their indices.
                          const auto index = static_cast<std::size_t>(e.index);
                          if (index < choice.tool_calls.size()) choice.tool_calls[index].arguments += e.text;
                        },
                        [&](const CallEndEvent& e) { end_call(choice, e); }},
             event);
}

std::vector<Event> events_of(const Choice& choice) {
  std::vector<Event> events;
  std::size_t content = 0;
  std::size_t reasoning = 0;
  std::int32_t calls = 0;
  for (const ChoicePart& part : choice.parts) {
    if (part.kind == ChoicePart::Kind::text) {
      events.emplace_back(TextEvent{choice.content.substr(content, part.bytes)});
      content += part.bytes;
    } else if (part.kind == ChoicePart::Kind::reasoning) {
      events.emplace_back(ReasoningEvent{choice.reasoning.substr(reasoning, part.bytes)});
      reasoning += part.bytes;
    } else {
      const ToolCall& call = choice.tool_calls[static_cast<std::size_t>(calls)];
      events.emplace_back(CallStartEvent{calls, call.id, call.name});
      events.emplace_back(CallArgsEvent{calls, call.arguments});
      if (part.call_ended) events.emplace_back(CallEndEvent{calls, call.written_id});
      ++calls;
    }
  }
  return events;
}

CustomTools custom_tools(std::span<const Tool> tools) {
  CustomTools names;
  for (const Tool& tool : tools)
    if (tool.custom) names.push_back(tool.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string encode_chat_response(const ResponseHead& head, std::span<const Choice> choices, const Usage& usage,
                                 const Vocab& vocab, const CustomTools& custom) {
  std::string out = open_body(head, "chat.completion");
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    append_choice(out, i, choices[i], vocab, custom);
  }
  out += "],\"usage\":";
  out += encode_usage(usage);
  out += '}';
  return out;
}

std::string encode_usage(const Usage& usage) {
  const std::int64_t total = std::int64_t{usage.prompt_tokens} + usage.completion_tokens;
  return fmt::format(R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},)"
                     R"("prompt_tokens_details":{{"cached_tokens":{}}},"kvern":{}}})",
                     usage.prompt_tokens, usage.completion_tokens, total, usage.reused_tokens(), usage_details(usage));
}

ChatEncoder::ChatEncoder(ResponseHead head, std::int32_t choices, bool with_usage, const Vocab& vocab,
                         CustomTools custom)
    : head_(std::move(head)),
      with_usage_(with_usage),
      vocab_(vocab),
      custom_(std::move(custom)),
      prefix_(open_body(head_, "chat.completion.chunk")),
      calls_(static_cast<std::size_t>(choices)) {}

// False, appending nothing, for an event that has no delta: an empty text, the end of a call.
bool ChatEncoder::append_delta(std::string& out, Calls& calls, const Event& event) const {
  const std::size_t before = out.size();
  std::visit(Overloaded{[&](const TextEvent& e) {
                          if (!e.text.empty()) append_text_delta(out, "content", e.text);
                        },
                        [&](const ReasoningEvent& e) {
                          if (!e.text.empty()) append_text_delta(out, "reasoning_content", e.text);
                        },
                        [&](const CallStartEvent& e) {
                          calls.any = true;
                          if (is_custom(custom_, e.name)) calls.custom.emplace(e.index, CustomInput());
                          append_call_start(out, e, custom_);
                        },
                        [&](const CallArgsEvent& e) {
                          const auto found = calls.custom.find(e.index);
                          if (found == calls.custom.end())
                            return append_call_piece(out, e.index, R"("function":{"arguments":)", e.text);
                          std::string input;
                          found->second.feed(e.text, input);
                          append_call_piece(out, e.index, R"("custom":{"input":)", input);
                        },
                        [](const CallEndEvent&) {}},
             event);
  return out.size() > before;
}

std::string ChatEncoder::open_chunk(std::int32_t choice) const {
  std::string out = prefix_;
  out += "{\"index\":";
  append_number(out, choice);
  out += ",\"delta\":";
  return out;
}

void ChatEncoder::close_chunk(std::string chunk, std::span<const StepLogprobs> logprobs,
                              std::vector<Frame>& out) const {
  chunk += ",\"logprobs\":";
  append_chat_logprobs(chunk, logprobs, vocab_);
  chunk += ",\"finish_reason\":null}]}";
  out.push_back({"", std::move(chunk)});
}

void ChatEncoder::start(std::vector<Frame>& out) {
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    std::string chunk = open_chunk(static_cast<std::int32_t>(i));
    chunk += R"({"role":"assistant","content":""})";
    close_chunk(std::move(chunk), {}, out);
  }
}

void ChatEncoder::events(std::int32_t choice, std::span<const Event> events, std::span<const StepLogprobs> logprobs,
                         std::vector<Frame>& out) {
  Calls& calls = calls_[static_cast<std::size_t>(choice)];
  for (const Event& event : events) {
    std::string chunk = open_chunk(choice);
    if (!append_delta(chunk, calls, event)) continue;
    close_chunk(std::move(chunk), logprobs, out);
    logprobs = {};  // the batch's first chunk carries them all
  }
  if (logprobs.empty()) return;
  // Steps whose text is still held back, or was a marker: their numbers are due all the same.
  std::string chunk = open_chunk(choice);
  chunk += R"({"content":""})";
  close_chunk(std::move(chunk), logprobs, out);
}

void ChatEncoder::ending(std::int32_t choice, FinishReason reason, std::string_view, std::vector<Frame>& out) {
  std::string chunk = open_chunk(choice);
  chunk += R"({},"logprobs":null,"finish_reason":")";
  chunk += finish_word(with_calls(reason, calls_[static_cast<std::size_t>(choice)].any));
  chunk += "\"}]}";
  out.push_back({"", std::move(chunk)});
}

// llama-server's shape.
void ChatEncoder::progress(std::int32_t choice, const PromptProgress& progress, std::vector<Frame>& out) {
  std::string chunk = open_chunk(choice);
  chunk += R"({},"logprobs":null,"finish_reason":null}],"prompt_progress":)";
  append_progress(chunk, progress);
  chunk += '}';
  out.push_back({"", std::move(chunk)});
}

void ChatEncoder::done(const Usage& usage, std::vector<Frame>& out) {
  if (with_usage_) out.push_back({"", prefix_ + "],\"usage\":" + encode_usage(usage) + "}"});
  out.push_back({"", "[DONE]"});
}

void ChatEncoder::failed(const Error& error, std::vector<Frame>& out) {
  out.push_back({"", openai_error_frame(error)});
}

std::string ChatEncoder::whole(std::span<const Choice> choices, const Usage& usage) {
  return encode_chat_response(head_, choices, usage, vocab_, custom_);
}

}  // namespace kvern::api
