// What a request that leaves a field out gets: the server's own settings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/sampling.h"

namespace kvern {

struct RequestDefaults {
  SamplingParams sampling;
  std::optional<std::int32_t> tokens_max;
  // JSON object text, may be empty: what chat_template_kwargs holds where the request's do not. Its
  // enable_thinking, thinking_budget and reasoning_effort count when the request is silent on all three.
  std::string template_kwargs;
};

}  // namespace kvern
