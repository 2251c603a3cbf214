#include "cli/cache_server.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/conversation.h"
#include "cli/server_link.h"
#include "http/client.h"

namespace kvern::cli {
namespace {

// Verifying or importing a large directory takes as long as reading it.
constexpr int kPatience_ms = 60 * 60 * 1000;

// A request that named something wrong is the caller's to change; the rest is as chat has it.
Error refusal(const http::ClientResponse& response) {
  Error error = refused(response.status, response.body);
  if (response.status == 400) error.code = Code::invalid;
  if (response.status == 404) error.code = Code::not_found;
  return error;
}

Result<Json> ask(const ServerAddress& server, http::ClientRequest request) {
  request.address = server.url;
  for (auto& header : headers_with_key(server.api_key)) request.headers.push_back(std::move(header));
  request.timeout_ms = kPatience_ms;
  auto response = http::fetch(request);
  if (!response) {
    return fail(Code::not_found, fmt::format("no server answers at {}: {}; name another with --url", server.url,
                                             response.error().message));
  }
  if (response->status != 200) return tl::unexpected(refusal(*response));
  auto body = parse_json(response->body);
  if (!body || !body->is_object())
    return fail(Code::failed, fmt::format("what answers at {} is no kvern server", server.url));
  return body;
}

}  // namespace

Result<Json> get_json(const ServerAddress& server, const std::string& target) {
  http::ClientRequest request;
  request.target = target;
  return ask(server, std::move(request));
}

Result<Json> post_json(const ServerAddress& server, const std::string& target, const Json& body) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = target;
  request.headers.emplace_back("content-type", "application/json");
  request.body = dump_json(body);
  return ask(server, std::move(request));
}

}  // namespace kvern::cli
