// llama-server's own /completion: its fields, its answers, streamed and whole. Pure; thread: any.
// Format: tools/server/README.md of llama.cpp, "POST /completion" (2026-09).
//
// Left out of answers: `prompt`, which is the client's own text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/frame.h"
#include "base/result.h"
#include "core/chat_request.h"
#include "core/event.h"
#include "core/generator.h"
#include "core/request_defaults.h"
#include "core/vocab.h"

namespace kvern::api {

struct LlamaCompletion {
  CompletionRequest request;   // tokens_max unset: up to the end of the context
  bool return_tokens = false;  // ids beside the text, also of a whole answer
  bool progress = false;       // return_progress, of a streamed answer
};

Result<LlamaCompletion> parse_llama_completion(std::string_view body, const RequestDefaults& defaults = {});

// One finished choice.
struct LlamaChoice {
  std::string text;
  std::vector<TokenId> tokens;
  std::vector<StepLogprobs> logprobs;
  Ending ending;
};

class LlamaCompletionEncoder {
 public:
  // prompt_tokens: of each choice's prompt.
  LlamaCompletionEncoder(std::string model, const LlamaCompletion& wanted, std::vector<std::int32_t> prompt_tokens,
                         const Vocab& vocab);

  // One streamed token; several frames never share one.
  void step(std::size_t choice, const Step& step, std::vector<Frame>& out);
  // Its last frame, with the numbers.
  void ending(std::size_t choice, const Ending& ending, std::vector<Frame>& out);
  // An object for one choice, a list for several.
  std::string whole(std::span<const LlamaChoice> choices) const;

 private:
  void append_final(std::string& out, std::size_t choice, const LlamaChoice& said) const;

  std::string model_;
  SamplingParams sampling_;
  std::optional<std::int32_t> tokens_max_;
  bool return_tokens_;
  std::vector<std::int32_t> prompt_tokens_;
  std::vector<std::int32_t> predicted_;  // tokens so far, by choice
  std::vector<bool> new_lines_;
  const Vocab& vocab_;
};

}  // namespace kvern::api
