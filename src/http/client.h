// A small blocking HTTP client for our own commands (`kvern chat`, `kvern doctor`), plain HTTP on
// loopback or a unix socket. Not for use inside the server.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/server.h"

namespace kvern::http {

struct ClientRequest {
  std::string address;  // "http://127.0.0.1:8080", "unix:/path"
  std::string method = "GET";
  std::string target = "/";
  Headers headers;
  std::string body;
  int timeout_ms = 10'000;  // without progress
};

struct ClientResponse {
  int status = 0;
  Headers headers;  // names in lower case
  std::string body;
};

// Reads the whole answer.
Result<ClientResponse> fetch(const ClientRequest& request);

// Calls on_data with each event's data as it arrives; return false from it to stop and close.
// A status other than 200 is returned with its body and no on_data call.
Result<ClientResponse> fetch_events(const ClientRequest& request,
                                    const std::function<bool(std::string_view event, std::string_view data)>& on_data);

}  // namespace kvern::http
