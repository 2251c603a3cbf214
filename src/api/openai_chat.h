// OpenAI chat completions: bytes -> ChatRequest, events -> bytes. Pure; thread: any.
// Format: OpenAI API reference, "Chat" (2026-09); extensions of llama-server and vLLM where their
// users expect them (top_k, min_p, repeat_penalty, reasoning_content, chat_template_kwargs).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/custom_input.h"
#include "api/frame.h"
#include "base/result.h"
#include "core/chat_request.h"
#include "core/event.h"
#include "core/usage.h"
#include "core/vocab.h"

namespace kvern::api {

// Unknown fields are ignored; a wrong type or value is Code::invalid whose field is its path
// ("messages[2].content[0].type"). Nothing after this function doubts the request.
Result<ChatRequest> parse_chat_request(std::string_view body);

struct ResponseHead {
  std::string id;     // "chatcmpl-..."
  std::string model;  // as requested, or the served name
  std::int64_t created_s = 0;
};

// One finished choice, put together from its events.
struct Choice {
  std::string content;
  std::string reasoning;
  std::vector<ToolCall> tool_calls;
  std::vector<StepLogprobs> logprobs;  // empty unless asked for
  FinishReason reason = FinishReason::stop;
};

void collect(Choice& choice, const Event& event);  // appends one event to a choice

// Names of the tools whose calls are written as custom ones; sorted.
using CustomTools = std::vector<std::string>;
CustomTools custom_tools(std::span<const Tool> tools);

std::string encode_chat_response(const ResponseHead& head, std::span<const Choice> choices, const Usage& usage,
                                 const Vocab& vocab, const CustomTools& custom = {});

// Streams one response, choices interleaved. Frames appended to out are to be sent in order.
class ChatStreamEncoder {
 public:
  ChatStreamEncoder(ResponseHead head, std::int32_t choices, bool with_usage, const Vocab& vocab,
                    CustomTools custom = {});

  void start(std::vector<Frame>& out);  // role chunks, one a choice
  void events(std::int32_t choice, std::span<const Event> events, std::span<const StepLogprobs> logprobs,
              std::vector<Frame>& out);
  void ending(std::int32_t choice, FinishReason reason, std::vector<Frame>& out);
  void done(const Usage& usage, std::vector<Frame>& out);  // usage chunk when asked for, then [DONE]

 private:
  struct Calls {
    bool any = false;
    std::map<std::int32_t, CustomInput> custom;  // by index: those of custom tools
  };

  bool append_delta(std::string& out, Calls& calls, const Event& event) const;
  std::string open_chunk(std::int32_t choice) const;
  void close_chunk(std::string chunk, std::span<const StepLogprobs> logprobs, std::vector<Frame>& out) const;

  bool with_usage_;
  const Vocab& vocab_;
  CustomTools custom_;
  std::string prefix_;        // the part every chunk begins with
  std::vector<Calls> calls_;  // by choice: what has started
};

// The usage object, also used by completions:
// {"prompt_tokens","completion_tokens","total_tokens","prompt_tokens_details":{"cached_tokens"},
//  "kvern":{"reused_device_tokens","reused_memory_tokens","computed_tokens","why","ttft_ms"}}
std::string encode_usage(const Usage& usage);

}  // namespace kvern::api
