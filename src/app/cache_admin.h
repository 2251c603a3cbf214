// The routes under /admin/cache, and /metrics: what the cache holds, why reuse stopped, and the
// changes a person may ask for. The counterpart of `kvern cache`.
//
// Thread: prep, for all of them: they ask the engine thread or wait for the disk.
#pragma once

#include <memory>

#include "app/model_service.h"
#include "http/server.h"

namespace kvern::app {

void serve_cache(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange);
void serve_cache_records(ModelService& model, const http::Request& request,
                         const std::shared_ptr<http::Exchange>& exchange);
void serve_cache_why(ModelService& model, const http::Request& request,
                     const std::shared_ptr<http::Exchange>& exchange);
// POST /admin/cache/WHAT: verify, prune, clear, pin, unpin, export, import.
void serve_cache_change(ModelService& model, const http::Request& request,
                        const std::shared_ptr<http::Exchange>& exchange);
void serve_metrics(ModelService& model, const http::Request& request, const std::shared_ptr<http::Exchange>& exchange);

}  // namespace kvern::app
