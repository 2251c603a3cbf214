// Whether and how long a model may reason, in every spelling that is sent for it.
//
//   OpenAI, OpenRouter  reasoning_effort; reasoning {effort, max_tokens, enabled}
//   Anthropic           thinking {type, budget_tokens}
//   Qwen, vLLM, MLX     enable_thinking, thinking_budget, max_reasoning_tokens; in chat_template_kwargs, too
//   llama-server        reasoning_budget (-1: no limit)
// "Off" (effort "none", a budget of 0, a switch) is the stronger word. Pure; thread: any.
#pragma once

#include <string>

#include "api/fields.h"
#include "core/chat_request.h"

namespace kvern::api {

struct ReasoningFields {
  Reasoning reasoning;
  // chat_template_kwargs as sent, with what templates call these wishes: reasoning_effort, and where
  // it was said enable_thinking and thinking (DeepSeek's word). What the client set there itself stays.
  std::string template_kwargs;
};

Result<ReasoningFields> read_reasoning_fields(const Fields& body);

}  // namespace kvern::api
