// /v1/responses and what lies below it. Thread: prep; answers as start_chat does.
#pragma once

#include <memory>

#include "app/model_service.h"
#include "http/server.h"

namespace kvern::app {

void serve_responses(ModelService& model, const http::Request& request,
                     const std::shared_ptr<http::Exchange>& exchange);
void serve_response_tokens(ModelService& model, const http::Request& request,
                           const std::shared_ptr<http::Exchange>& exchange);  // POST .../input_tokens
void serve_compaction(ModelService& model, const http::Request& request,
                      const std::shared_ptr<http::Exchange>& exchange);  // POST .../compact

// GET .../{id} and .../{id}/input_items, DELETE .../{id}, POST .../{id}/cancel
void serve_stored_response(ModelService& model, const http::Request& request,
                           const std::shared_ptr<http::Exchange>& exchange);
void serve_response_deletion(ModelService& model, const http::Request& request,
                             const std::shared_ptr<http::Exchange>& exchange);
void serve_response_cancel(ModelService& model, const http::Request& request,
                           const std::shared_ptr<http::Exchange>& exchange);

}  // namespace kvern::app
