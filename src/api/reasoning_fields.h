// Whether and how long a model may reason, in every spelling that is sent for it.
//
//   OpenAI, OpenRouter  reasoning_effort; reasoning {effort, max_tokens, enabled}
//   Anthropic           thinking {type, budget_tokens}; output_config {effort}
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

// What a request without a word on reasoning means.
enum class Unsaid {
  as_trained,  // the model does as it was trained to
  asked_not,   // the template hears that it shall not, but a model that reasons all the same may
};

// defaults: RequestDefaults::template_kwargs.
Result<ReasoningFields> read_reasoning_fields(const Fields& body, const std::string& defaults = {},
                                              Unsaid unsaid = Unsaid::as_trained);

}  // namespace kvern::api
