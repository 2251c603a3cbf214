// What the server does, for who watches: see docs/events.md.
#pragma once

#include <memory>

#include "app/model_service.h"
#include "http/server.h"

namespace kvern::app {

// Thread: net.
void serve_events(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange);
// Thread: prep; waits for the engine thread.
void serve_requests(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange);

}  // namespace kvern::app
