// What clients ask about the model and the server: metadata of every server's kind, tokens, templates.
// Thread: net for those that say so in the router, else prep.
#pragma once

#include <memory>

#include "app/model_service.h"
#include "http/server.h"

namespace kvern::app {

using Exchange = std::shared_ptr<http::Exchange>;

void serve_health(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_models(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_model(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_tokenize(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_detokenize(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_apply_template(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_input_tokens(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_props(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_slots(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_version(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_ollama_version(ModelService& model, const http::Request& request, const Exchange& exchange);
void serve_ollama_tags(ModelService& model, const http::Request& request, const Exchange& exchange);

// Why a route that other servers have is not here, and what to use; "" for a path nobody has.
std::string_view why_not_offered(std::string_view path);

}  // namespace kvern::app
