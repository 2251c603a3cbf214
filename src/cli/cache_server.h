// The routes under /admin/cache of a running server, as `kvern cache` uses them. Thread: main.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"

namespace kvern::cli {

struct ServerAddress {
  std::string url;  // "http://127.0.0.1:8080", "unix:/path"
  std::string api_key;
};

// target: "/admin/cache". Errors say what the server said.
Result<Json> get_json(const ServerAddress& server, const std::string& target);
Result<Json> post_json(const ServerAddress& server, const std::string& target, const Json& body);

}  // namespace kvern::cli
