// The Anthropic Messages API: turns, token counts, and what its clients ask to see that a server is there.
//
// Thread: prep, but for the others. Errors are answered here, in Anthropic's shape.
#pragma once

#include <memory>

#include "api/wire_error.h"
#include "app/model_service.h"
#include "http/server.h"

namespace kvern::app {

void serve_messages(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange);

// The tokens such a request's prompt has. Nothing is scheduled, so it costs what rendering costs.
void serve_count_tokens(ModelService& model, const http::Request& request,
                        const std::shared_ptr<http::Exchange>& exchange);

// GET or HEAD of / or /api/hello, which clients ask without a key before anything else. Thread: any.
bool is_greeting(const http::Request& request);
void serve_greeting(http::Exchange& exchange);

// Whose error shape the client of a request understands that no route tells of. Thread: any.
api::Wire wire_of(const http::Request& request);

}  // namespace kvern::app
