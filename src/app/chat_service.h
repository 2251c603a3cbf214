// POST /v1/chat/completions and /v1/completions: request bytes -> prompt, constraint, turn.
//
// Thread: prep. Errors are answered here; on success the turn answers.
#pragma once

#include <memory>
#include <string>

#include "app/model_service.h"
#include "http/server.h"

namespace kvern::app {

void serve_chat(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange);
void serve_completions(ModelService& model, const http::Request& request,
                       const std::shared_ptr<http::Exchange>& exchange);

}  // namespace kvern::app
