#include "app/answer.h"

namespace kvern::app {

void answer_json(http::Exchange& exchange, std::string body) {
  exchange.respond(200, "application/json", std::move(body));
}

void answer_error(http::Exchange& exchange, const Error& error, api::Wire wire_format) {
  api::WireError wire = api::wire_error(wire_format, error);
  http::Headers headers;
  if (wire.retry_after_s > 0) headers.emplace_back("Retry-After", std::to_string(wire.retry_after_s));
  exchange.respond(wire.status, "application/json", std::move(wire.body), std::move(headers));
}

}  // namespace kvern::app
