// How one chat answer is written, whatever the wire format: what each format's encoder promises.
//
// Frames appended to out are to be sent in order. A streamed answer is start(), then events() and one
// ending() a choice, then done(), or failed() in place of whatever had still to come. An unstreamed
// one is a single whole(). Thread: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/frame.h"
#include "base/result.h"
#include "core/event.h"
#include "core/generator.h"
#include "core/message.h"
#include "core/usage.h"

namespace kvern::api {

struct ResponseHead {
  std::string id;     // "chatcmpl-...", "msg_...", "resp_..."
  std::string model;  // as requested, or the served name
  std::int64_t created_s = 0;
};

// A stretch of a choice: text or reasoning of so many bytes, or the next of its calls.
struct ChoicePart {
  enum class Kind { text, reasoning, call } kind = Kind::text;
  std::size_t bytes = 0;    // text, reasoning
  bool call_ended = false;  // a call that was not ended was cut off
};

// One finished choice, put together from its events.
struct Choice {
  std::string content;
  std::string reasoning;
  std::vector<ToolCall> tool_calls;
  std::vector<ChoicePart> parts;       // content, reasoning and calls in the order they were written
  std::vector<StepLogprobs> logprobs;  // empty unless asked for
  FinishReason reason = FinishReason::stop;
  std::string stop;  // the stop string that ended it, if one did
};

void collect(Choice& choice, const Event& event);  // appends one event to a choice
// What collect() put together, apart again: a part of text or reasoning is one event.
std::vector<Event> events_of(const Choice& choice);

class AnswerEncoder {
 public:
  virtual ~AnswerEncoder() = default;

  // Sent before the prompt is computed, so that clients see life at once.
  virtual void start(std::vector<Frame>& out) = 0;
  virtual void events(std::int32_t choice, std::span<const Event> events, std::span<const StepLogprobs> logprobs,
                      std::vector<Frame>& out) = 0;
  // reason is never `failed`; stop is the stop string that ended the choice, or empty.
  virtual void ending(std::int32_t choice, FinishReason reason, std::string_view stop, std::vector<Frame>& out) = 0;
  // How far the prompt is; only of requests that ask for it.
  virtual void progress(std::int32_t /*choice*/, const PromptProgress& /*progress*/, std::vector<Frame>& /*out*/) {}
  virtual void done(const Usage& usage, std::vector<Frame>& out) = 0;
  // The answer broke off.
  virtual void failed(const Error& error, std::vector<Frame>& out) = 0;

  // The body of an unstreamed answer.
  virtual std::string whole(std::span<const Choice> choices, const Usage& usage) = 0;
};

}  // namespace kvern::api
