// Anthropic Messages: bytes -> ChatRequest, events -> bytes. Pure; thread: any.
// Format: Anthropic API reference, "Messages" (2026-10), as its SDKs and Claude Code use it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/answer_encoder.h"
#include "base/result.h"
#include "base/text_memory.h"
#include "core/chat_request.h"
#include "core/request_defaults.h"

namespace kvern::api {

// Unknown fields, betas and kinds of blocks are accepted; a wrong type or value is Code::invalid whose
// field is its path. max_tokens may be missing; 0 asks to compute the prompt and to answer nothing.
// Nothing after this function doubts the request. memory: of earlier requests, whose parts need not be read again;
// null: there is none.
Result<ChatRequest> parse_messages_request(std::string_view body, const RequestDefaults& defaults = {},
                                           TextMemory* memory = nullptr);

// {"input_tokens":N}
std::string encode_token_count(std::int64_t tokens);

enum class Shown {
  content,
  nothing,  // max_tokens was 0: what was generated is not told, nor counted
};

// Streams one message: its blocks strictly one after another. Blocks of mere whitespace are left out,
// and an answer that says nothing has none; streamed or whole, the content is the same.
class MessagesEncoder final : public AnswerEncoder {
 public:
  explicit MessagesEncoder(ResponseHead head, Shown shown = Shown::content) : head_(std::move(head)), shown_(shown) {}

  void start(std::vector<Frame>& out) override;  // message_start, its usage all zeros
  void events(std::int32_t choice, std::span<const Event> events, std::span<const StepLogprobs> logprobs,
              std::vector<Frame>& out) override;
  void ending(std::int32_t choice, FinishReason reason, std::string_view stop, std::vector<Frame>& out) override;
  void done(const Usage& usage, std::vector<Frame>& out) override;  // message_delta, message_stop
  void failed(const Error& error, std::vector<Frame>& out) override;
  std::string whole(std::span<const Choice> choices, const Usage& usage) override;

 private:
  void take(const Event& event, std::vector<Frame>& out);
  void take_text(ChoicePart::Kind kind, std::string_view piece, std::vector<Frame>& out);
  void begin_block(ChoicePart::Kind kind, std::vector<Frame>& out);
  void open(std::string_view block, std::vector<Frame>& out);
  void delta(std::string_view type, std::string_view field, std::string_view text, std::vector<Frame>& out) const;
  void close(std::vector<Frame>& out);

  ResponseHead head_;
  Shown shown_;
  std::int32_t index_ = 0;                          // of the block that is open or comes next
  bool open_ = false;                               // its start was sent
  ChoicePart::Kind kind_ = ChoicePart::Kind::text;  // of that block
  std::string held_;                                // whitespace at the beginning of a block that may never begin
  std::string thinking_;                            // of the open block, for its signature
  bool called_ = false;
  FinishReason reason_ = FinishReason::stop;
  std::string stop_;
};

}  // namespace kvern::api
