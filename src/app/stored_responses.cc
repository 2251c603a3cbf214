#include <fmt/format.h>

#include "api/response_items_page.h"
#include "app/answer.h"
#include "app/response_store.h"
#include "app/responses_service.h"
#include "base/json_text.h"
#include "base/utf8.h"

namespace kvern::app {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

// ".../responses/{id}" or ".../responses/{id}/{rest}"
struct Target {
  std::string_view id;
  std::string_view rest;
};

Target target_of(const http::Request& request) {
  constexpr std::string_view kResponses = "/responses/";
  const std::string_view path = request.path;
  const std::string_view below = path.substr(path.find(kResponses) + kResponses.size());
  const std::size_t slash = below.find('/');
  if (slash == std::string_view::npos) return {below, {}};
  return {below.substr(0, slash), below.substr(slash + 1)};
}

Error no_response(std::string_view id) {
  return {Code::not_found, fmt::format("Response with id '{}' not found.", shortened(id)), "id"};
}

Error no_route(const http::Request& request) {
  return {Code::not_found, fmt::format("there is no {} here", shortened(request.path)), ""};
}

Result<std::string> stored_body(ModelService& model, const http::Request& request) {
  const Target target = target_of(request);
  if (!target.rest.empty() && target.rest != "input_items") return tl::unexpected(no_route(request));
  const auto found = model.responses().find(target.id, model.salt_of(request));
  if (!found) return tl::unexpected(no_response(target.id));
  if (target.rest.empty()) {
    if (api::query_value(request.query, "stream") == "true")
      return fail(Code::invalid, "a stored response cannot be streamed again; it comes whole", "stream");
    return found->body;
  }
  TRY(const api::PageQuery query, api::parse_page_query(request.query));
  return api::encode_items_page(std::span(found->items).first(found->output), found->id, query);
}

}  // namespace

void serve_stored_response(ModelService& model, const http::Request& request, const Exchange& exchange) {
  answer(*exchange, stored_body(model, request));
}

void serve_response_deletion(ModelService& model, const http::Request& request, const Exchange& exchange) {
  const Target target = target_of(request);
  if (!target.rest.empty()) return answer_error(*exchange, no_route(request));
  if (!model.responses().erase(target.id, model.salt_of(request)))
    return answer_error(*exchange, no_response(target.id));
  std::string body = "{\"id\":";
  append_json_string(body, target.id);
  body += R"(,"object":"response","deleted":true})";
  answer_json(*exchange, std::move(body));
}

void serve_response_cancel(ModelService& model, const http::Request& request, const Exchange& exchange) {
  const Target target = target_of(request);
  if (target.rest != "cancel") return answer_error(*exchange, no_route(request));
  if (!model.responses().find(target.id, model.salt_of(request)))
    return answer_error(*exchange, no_response(target.id));
  answer_error(*exchange,
               {Code::invalid, "only background responses can be cancelled; close the connection instead", ""});
}

}  // namespace kvern::app
