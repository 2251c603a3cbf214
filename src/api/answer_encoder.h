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
#include "core/message.h"
#include "core/usage.h"

namespace kvern::api {

struct ResponseHead {
  std::string id;     // "chatcmpl-...", "msg_...", "resp_..."
  std::string model;  // as requested, or the served name
  std::int64_t created_s = 0;
};

// What came one after another in a choice: the order of its parts, which the joined texts do not tell.
struct Run {
  enum class Kind { text, reasoning, call };
  Kind kind = Kind::text;
  std::size_t end = 0;  // in content or reasoning; of a call, one past its place in tool_calls
};

// One finished choice, put together from its events.
struct Choice {
  std::string content;
  std::string reasoning;
  std::vector<ToolCall> tool_calls;
  std::vector<Run> runs;
  std::vector<StepLogprobs> logprobs;  // empty unless asked for
  FinishReason reason = FinishReason::stop;
  std::string stop;  // the stop string that ended it, if one did
};

void collect(Choice& choice, const Event& event);  // appends one event to a choice

class AnswerEncoder {
 public:
  virtual ~AnswerEncoder() = default;

  // Sent before the prompt is computed, so that clients see life at once.
  virtual void start(std::vector<Frame>& out) = 0;
  virtual void events(std::int32_t choice, std::span<const Event> events, std::span<const StepLogprobs> logprobs,
                      std::vector<Frame>& out) = 0;
  // reason is never `failed`; stop is the stop string that ended the choice, or empty.
  virtual void ending(std::int32_t choice, FinishReason reason, std::string_view stop, std::vector<Frame>& out) = 0;
  virtual void done(const Usage& usage, std::vector<Frame>& out) = 0;
  // The answer broke off.
  virtual void failed(const Error& error, std::vector<Frame>& out) = 0;

  // The body of an unstreamed answer.
  virtual std::string whole(std::span<const Choice> choices, const Usage& usage) = 0;
};

}  // namespace kvern::api
