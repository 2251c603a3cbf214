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

#include "api/answer_encoder.h"
#include "api/custom_input.h"
#include "base/result.h"
#include "base/text_memory.h"
#include "core/chat_request.h"
#include "core/event.h"
#include "core/request_defaults.h"
#include "core/usage.h"
#include "core/vocab.h"

namespace kvern::api {

// A request of several conversations, alike but for their messages.
struct ChatBatch {
  ChatRequest request;                       // of the first
  std::vector<std::vector<Message>> others;  // messages of the rest
  bool progress = false;                     // llama-server's return_progress, of a streamed answer
};

// Unknown fields are ignored; a wrong type or value is Code::invalid whose field is its path
// ("messages[2].content[0].type"). Nothing after this function doubts the request. memory: of earlier requests,
// whose parts need not be read again; null: there is none.
Result<ChatBatch> parse_chat_batch(std::string_view body, const RequestDefaults& defaults = {},
                                   TextMemory* memory = nullptr);
// The same where there can be only one conversation.
Result<ChatRequest> parse_chat_request(std::string_view body, const RequestDefaults& defaults = {});

// Names of the tools whose calls are written as custom ones; sorted.
using CustomTools = std::vector<std::string>;
CustomTools custom_tools(std::span<const Tool> tools);

std::string encode_chat_response(const ResponseHead& head, std::span<const Choice> choices, const Usage& usage,
                                 const Vocab& vocab, const CustomTools& custom = {});

// Streams one response, choices interleaved.
class ChatEncoder final : public AnswerEncoder {
 public:
  ChatEncoder(ResponseHead head, std::int32_t choices, bool with_usage, const Vocab& vocab, CustomTools custom = {});

  void start(std::vector<Frame>& out) override;  // role chunks, one a choice
  void events(std::int32_t choice, std::span<const Event> events, std::span<const StepLogprobs> logprobs,
              std::vector<Frame>& out) override;
  void ending(std::int32_t choice, FinishReason reason, std::string_view stop, std::vector<Frame>& out) override;
  void progress(std::int32_t choice, const PromptProgress& progress, std::vector<Frame>& out) override;
  void done(const Usage& usage, std::vector<Frame>& out) override;  // usage chunk when asked for, then [DONE]
  void failed(const Error& error, std::vector<Frame>& out) override;
  std::string whole(std::span<const Choice> choices, const Usage& usage) override;

 private:
  struct Calls {
    bool any = false;
    std::map<std::int32_t, CustomInput> custom;  // by index: those of custom tools
  };

  bool append_delta(std::string& out, Calls& calls, const Event& event) const;
  std::string open_chunk(std::int32_t choice) const;
  void close_chunk(std::string chunk, std::span<const StepLogprobs> logprobs, std::vector<Frame>& out) const;

  ResponseHead head_;
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
