// OpenAI Responses: bytes -> ChatRequest, events -> bytes. Pure; thread: any.
// Format: OpenAI API reference, "Responses" (2026-09), as Codex, the official SDKs and the AI SDK speak it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer_encoder.h"
#include "api/custom_input.h"
#include "api/responses_tools.h"
#include "base/result.h"
#include "base/text_memory.h"
#include "core/chat_request.h"
#include "core/request_defaults.h"

namespace kvern::api {

// An item as JSON text. Conversations share them.
using ItemText = std::shared_ptr<const std::string>;

// What earlier answers left behind, as one client may see it.
class StoredItems {
 public:
  virtual ~StoredItems() = default;
  // Input and output of a stored answer and of those before it; none when it is unknown.
  virtual std::optional<std::vector<ItemText>> conversation(std::string_view response_id) const = 0;
  // An item of a stored answer's output; null when it is unknown.
  virtual ItemText item(std::string_view item_id) const = 0;
};

struct ResponsesRequest {
  ChatRequest chat;
  CallNames names;
  bool store = true;
  bool seals_reasoning = false;      // include: "reasoning.encrypted_content"
  std::string echo;                  // members of every response object that repeat the request: "a":1,"b":2
  std::vector<ItemText> items;       // the conversation up to here, when it is to be stored
  std::vector<std::string> dropped;  // types of items that say nothing to a model here
};

// Unknown fields are ignored; a wrong type or value is Code::invalid whose field is its path
// ("input[2].content"). An unknown previous_response_id is Code::not_found with that field.
// keep_items: also when the answer is not to be stored. memory: of earlier requests, whose parts need not be parsed
// again; null: there is none.
Result<ResponsesRequest> parse_responses_request(std::string_view body, const StoredItems& stored,
                                                 const RequestDefaults& defaults = {}, bool keep_items = false,
                                                 TextMemory* memory = nullptr);

// What one answer says beside its words.
struct ResponsesHead {
  std::string tag;  // 24 letters and digits: the answer is resp_TAG, its items are msg_TAG_0, fc_TAG_1, ...
  std::string model;
  std::int64_t created_s = 0;
  std::string echo;
  CallNames names;
  bool seals_reasoning = false;
};

inline constexpr std::string_view kResponsePrefix = "resp_";

// The tag in an item's id; empty when we did not make it.
std::string_view tag_of_item(std::string_view id);

class ResponsesEncoder final : public AnswerEncoder {
 public:
  explicit ResponsesEncoder(ResponsesHead head);
  ~ResponsesEncoder() override;

  void start(std::vector<Frame>& out) override;
  void events(std::int32_t choice, std::span<const Event> events, std::span<const StepLogprobs> logprobs,
              std::vector<Frame>& out) override;
  void ending(std::int32_t choice, FinishReason reason, std::string_view stop, std::vector<Frame>& out) override;
  void done(const Usage& usage, std::vector<Frame>& out) override;
  void failed(const Error& error, std::vector<Frame>& out) override;
  std::string whole(std::span<const Choice> choices, const Usage& usage) override;

  // After done() or whole(): whether the model came to an end of its own or of the client's limit, the
  // response object, and its items.
  bool complete() const { return reason_ != FinishReason::cancelled; }
  const std::string& body() const { return body_; }
  std::vector<ItemText> items() const;

 private:
  struct Item;

  void take(const Event& event, std::vector<Frame>& out);
  void add_words(bool reasoning, std::string_view text, std::vector<Frame>& out);
  void begin_call(const CallStartEvent& event, std::vector<Frame>& out);
  void add_arguments(std::string_view text, std::vector<Frame>& out);
  void add_text(std::string_view text, std::vector<Frame>& out);
  void announce(Item item, std::string_view prefix, std::vector<Frame>& out);
  void close(std::string_view status, std::vector<Frame>& out);
  void frame(std::string_view type, std::string_view members, std::vector<Frame>& out);
  std::string place() const;
  std::string response(std::string_view status, const Error* error, const Usage* usage) const;

  ResponsesHead head_;
  std::vector<Item> items_;
  bool open_ = false;  // the last item is not done
  FinishReason reason_ = FinishReason::stop;
  std::int64_t sequence_ = 0;
  std::string body_;
};

// "usage" of a response.
std::string encode_responses_usage(const Usage& usage);

}  // namespace kvern::api
