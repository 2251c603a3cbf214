// Answers that are not a turn: JSON bodies and errors.
#pragma once

#include <string>
#include <string_view>

#include "api/wire_error.h"
#include "base/result.h"
#include "http/server.h"

namespace kvern::app {

// Anthropic's clients show its value when something fails; of a turn it ends like the turn's id in the log.
inline constexpr std::string_view kRequestIdHeader = "request-id";

void answer_json(http::Exchange& exchange, std::string body);
void answer_error(http::Exchange& exchange, const Error& error, api::Wire wire = api::Wire::openai);
// The JSON, or why there is none.
void answer(http::Exchange& exchange, Result<std::string> json, api::Wire wire = api::Wire::openai);

}  // namespace kvern::app
