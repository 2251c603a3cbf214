// Answers that are not a turn: JSON bodies and errors.
#pragma once

#include <string>

#include "api/wire_error.h"
#include "base/result.h"
#include "http/server.h"

namespace kvern::app {

void answer_json(http::Exchange& exchange, std::string body);
void answer_error(http::Exchange& exchange, const Error& error, api::Wire wire = api::Wire::openai);

}  // namespace kvern::app
