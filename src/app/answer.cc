#include "app/answer.h"

#include <utility>

#include "app/ids.h"

namespace kvern::app {

void answer_json(http::Exchange& exchange, std::string body) {
  exchange.respond(200, "application/json", std::move(body));
}

void answer_error(http::Exchange& exchange, const Error& error, api::Wire wire_format) {
  http::Headers headers;
  std::string id;
  if (wire_format == api::Wire::anthropic) {
    id = "req_" + random_id();
    headers.emplace_back(kRequestIdHeader, id);
  }
  api::WireError wire = api::wire_error(wire_format, error, id);
  if (wire.retry_after_s > 0) headers.emplace_back("Retry-After", std::to_string(wire.retry_after_s));
  exchange.respond(wire.status, "application/json", std::move(wire.body), std::move(headers));
}

void answer(http::Exchange& exchange, Result<std::string> json, api::Wire wire) {
  if (!json) return answer_error(exchange, json.error(), wire);
  answer_json(exchange, std::move(*json));
}

}  // namespace kvern::app
