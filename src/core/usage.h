// What a request cost, and why it had to compute what it computed.
#pragma once

#include <cstdint>

namespace kvern {

// Why reuse stopped where it did.
enum class ReuseStop {
  end,               // everything but the token needed for logits was held
  new_text,          // what was held ends here: the prompt goes on past the longest known one
  template_changed,  // the same messages, rendered otherwise than before
  reasoning,         // a former turn's reasoning is gone or different
  tool_args,         // a former call's arguments are different
  header,            // the system text is different
  tools_changed,     // the tool list is different
  edited,            // a message is different
  cold,              // nothing of this prompt was known
  evicted,           // it was known, but its bytes had to make room
  damaged,           // it was on disk, but not as it was written
  snapshot,          // the model's state cannot be cut where the prompt leaves the known one
  disabled,          // --no-cache
};

constexpr const char* to_string(ReuseStop why) {
  switch (why) {
    case ReuseStop::end: return "end";
    case ReuseStop::new_text: return "new_text";
    case ReuseStop::template_changed: return "template";
    case ReuseStop::reasoning: return "reasoning";
    case ReuseStop::tool_args: return "tool_args";
    case ReuseStop::header: return "header";
    case ReuseStop::tools_changed: return "tools_changed";
    case ReuseStop::edited: return "edited";
    case ReuseStop::cold: return "cold";
    case ReuseStop::evicted: return "evicted";
    case ReuseStop::damaged: return "damaged";
    case ReuseStop::snapshot: return "snapshot";
    case ReuseStop::disabled: return "disabled";
  }
  return "cold";
}

struct Usage {
  std::int32_t prompt_tokens = 0;
  std::int32_t reused_device_tokens = 0;  // shared cells, nothing moved
  std::int32_t reused_memory_tokens = 0;  // loaded from RAM
  std::int32_t reused_disk_tokens = 0;    // loaded from disk
  std::int32_t pending_tokens = 0;        // of the prompt, not reached before the request ended
  std::int32_t completion_tokens = 0;
  std::int32_t reasoning_tokens = 0;  // of them, as the reader of the text counted them: markers may be among them
  std::int32_t forced_tokens = 0;     // of them, those that cost no step of their own
  std::int32_t drafted_tokens = 0;    // guessed and computed beside those that were sure
  std::int32_t accepted_tokens = 0;   // of those, the ones that came
  ReuseStop why = ReuseStop::cold;
  std::int64_t queue_us = 0;   // submit to admission
  std::int64_t ttft_us = 0;    // submit to first token
  std::int64_t decode_us = 0;  // first token to last

  std::int32_t reused_tokens() const { return reused_device_tokens + reused_memory_tokens + reused_disk_tokens; }
  std::int32_t computed_tokens() const { return prompt_tokens - reused_tokens() - pending_tokens; }
};

enum class FinishReason { stop, length, tool_calls, cancelled, failed };

constexpr const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop: return "stop";
    case FinishReason::length: return "length";
    case FinishReason::tool_calls: return "tool_calls";
    case FinishReason::cancelled: return "cancelled";
    case FinishReason::failed: return "failed";
  }
  return "failed";
}

}  // namespace kvern
