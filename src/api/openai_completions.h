// OpenAI text completions (legacy), with llama-server's `json_schema`. Pure; thread: any.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/frame.h"
#include "api/openai_chat.h"
#include "base/result.h"
#include "core/chat_request.h"
#include "core/request_defaults.h"

namespace kvern::api {

// prompt: a string, a list of strings, a list of token ids, or a list of such lists.
Result<CompletionRequest> parse_completion_request(std::string_view body, const RequestDefaults& defaults = {});

struct TextChoice {
  std::string text;
  std::vector<StepLogprobs> logprobs;
  FinishReason reason = FinishReason::stop;
};

std::string encode_completion_response(const ResponseHead& head, std::span<const TextChoice> choices,
                                       const Usage& usage, const Vocab& vocab);

class CompletionStreamEncoder {
 public:
  CompletionStreamEncoder(ResponseHead head, bool with_usage, const Vocab& vocab);

  void text(std::int32_t choice, std::string_view text, std::span<const StepLogprobs> logprobs,
            std::vector<Frame>& out);
  void ending(std::int32_t choice, FinishReason reason, std::vector<Frame>& out);
  void done(const Usage& usage, std::vector<Frame>& out);

 private:
  bool with_usage_;
  const Vocab& vocab_;
  std::string prefix_;                            // the part every chunk begins with
  std::map<std::int32_t, std::int64_t> offsets_;  // by choice: characters so far, for text_offset
};

}  // namespace kvern::api
