#include "app/router.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "api/wire_error.h"
#include "app/answer.h"
#include "app/cache_admin.h"
#include "app/chat_service.h"
#include "app/messages_service.h"
#include "app/model_routes.h"
#include "app/responses_service.h"
#include "app/watch_routes.h"
#include "base/utf8.h"
#include "http/auth.h"
#include "http/local_name.h"

namespace kvern::app {
namespace {

using Serve = void (*)(ModelService&, const http::Request&, const Exchange&);

struct Route {
  std::string_view method;
  std::string_view path;  // a trailing '/' matches everything below it
  Serve serve;
  bool heavy;  // runs on the prep pool
  bool open;   // needs no API key
};

constexpr std::array kRoutes = {
    Route{"GET", "/health", serve_health, false, true},
    Route{"GET", "/v1/health", serve_health, false, true},
    Route{"GET", "/v1/models", serve_models, false, false},
    Route{"GET", "/models", serve_models, false, false},
    Route{"GET", "/v1/models/", serve_model, false, false},
    Route{"POST", "/v1/chat/completions", serve_chat, true, false},
    Route{"POST", "/chat/completions", serve_chat, true, false},
    Route{"POST", "/v1/completions", serve_completions, true, false},
    Route{"POST", "/v1/messages", serve_messages, true, false},
    Route{"POST", "/v1/messages/count_tokens", serve_count_tokens, true, false},
    Route{"POST", "/v1/responses", serve_responses, true, false},
    Route{"POST", "/responses", serve_responses, true, false},
    Route{"POST", "/v1/responses/input_tokens", serve_response_tokens, true, false},
    Route{"POST", "/v1/responses/compact", serve_compaction, true, false},
    Route{"POST", "/v1/responses/", serve_response_cancel, true, false},
    Route{"GET", "/v1/responses/", serve_stored_response, true, false},
    Route{"DELETE", "/v1/responses/", serve_response_deletion, true, false},
    Route{"POST", "/completion", serve_llama_completion, true, false},
    Route{"POST", "/completions", serve_llama_completion, true, false},
    Route{"POST", "/v1/chat/completions/input_tokens", serve_input_tokens, true, false},
    Route{"POST", "/chat/completions/input_tokens", serve_input_tokens, true, false},
    Route{"GET", "/props", serve_props, false, false},
    Route{"GET", "/slots", serve_slots, true, false},
    Route{"GET", "/version", serve_version, false, false},
    Route{"GET", "/api/version", serve_ollama_version, false, false},
    Route{"GET", "/api/tags", serve_ollama_tags, false, false},
    Route{"POST", "/tokenize", serve_tokenize, true, false},
    Route{"POST", "/detokenize", serve_detokenize, true, false},
    Route{"POST", "/apply-template", serve_apply_template, true, false},
    Route{"GET", "/metrics", serve_metrics, true, false},
    Route{"GET", "/kvern/events", serve_events, false, false},
    Route{"GET", "/kvern/requests", serve_requests, true, false},
    Route{"GET", "/admin/cache", serve_cache, true, false},
    Route{"GET", "/admin/cache/records", serve_cache_records, true, false},
    Route{"GET", "/admin/cache/why/", serve_cache_why, true, false},
    Route{"POST", "/admin/cache/", serve_cache_change, true, false},
};

bool path_matches(const Route& route, std::string_view path) {
  if (!route.path.ends_with('/')) return path == route.path;
  return path.starts_with(route.path) && path.size() > route.path.size();
}

struct Found {
  const Route* route = nullptr;
  std::string_view other_method;  // the path exists with this one only
};

Found find_route(const http::Request& request) {
  const std::string_view method = request.method == "HEAD" ? std::string_view("GET") : request.method;
  Found found;
  for (const Route& route : kRoutes) {
    if (!path_matches(route, request.path)) continue;
    if (route.method == method) return {&route, {}};
    found.other_method = route.method;
  }
  return found;
}

void answer_no_route(http::Exchange& exchange, const http::Request& request, const Found& found) {
  if (found.other_method.empty()) {
    if (const std::string_view why = why_not_offered(request.path); !why.empty()) {
      const Error error{Code::invalid, std::string(why), ""};
      // Clients' libraries try again after a 5xx unless they are told.
      return exchange.respond(501, "application/json", api::openai_error(error).body, {{"x-should-retry", "false"}});
    }
    const std::string message = fmt::format("there is no {} here; the API is under /v1, e.g. POST /v1/chat/completions",
                                            shortened(request.path));
    return answer_error(exchange, {Code::not_found, message, ""}, wire_of(request));
  }
  const std::string method(found.other_method);
  const Error error{
      Code::invalid,
      fmt::format("{} {} does not exist; use {}", shortened(request.method), shortened(request.path), method), ""};
  exchange.respond(405, "application/json", api::wire_error(wire_of(request), error).body, {{"Allow", method}});
}

void answer_stranger(http::Exchange& exchange, const http::Request& request) {
  const Error error{Code::unauthorized,
                    "without an API key this server answers under local names only, and to no page of another site; "
                    "start it with --api-key to use it under other names",
                    ""};
  exchange.respond(403, "application/json", api::wire_error(wire_of(request), error).body);
}

}  // namespace

void Router::handle(http::Request request, std::shared_ptr<http::Exchange> exchange) {
  if (api_keys_.empty() && !http::comes_from_here(request)) return answer_stranger(*exchange, request);
  if (is_greeting(request)) return serve_greeting(*exchange);
  const Found found = find_route(request);
  const api::Wire wire = wire_of(request);
  if (!found.route) return answer_no_route(*exchange, request, found);
  const Route& route = *found.route;
  if (!route.open && !http::authorized(request, api_keys_)) {
    return answer_error(
        *exchange, {Code::unauthorized, "this server needs an API key: send it as 'Authorization: Bearer KEY'", ""},
        wire);
  }
  std::shared_ptr<ModelService> loaded = model();
  if (!loaded) return answer_error(*exchange, {Code::busy, "the model is still loading", ""}, wire);
  if (!route.heavy) return route.serve(*loaded, request, exchange);
  auto job = [serve = route.serve, loaded, request = std::move(request), exchange] {
    if (!exchange->closed()) serve(*loaded, request, exchange);
  };
  if (!prep_.run(std::move(job)))
    answer_error(*exchange, {Code::busy, "too many requests wait; try again in a moment", ""}, wire);
}

void Router::set_model(std::shared_ptr<ModelService> model) {
  const std::lock_guard lock(mutex_);
  model_ = std::move(model);
}

std::shared_ptr<ModelService> Router::model() const {
  const std::lock_guard lock(mutex_);
  return model_;
}

}  // namespace kvern::app
