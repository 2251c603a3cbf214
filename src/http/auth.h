// API keys: "Authorization: Bearer KEY" or "x-api-key: KEY", compared in constant time.
#pragma once

#include <span>
#include <string>

#include "http/server.h"

namespace kvern::http {

// True when keys is empty or the request carries one of them.
bool authorized(const Request& request, std::span<const std::string> keys);

}  // namespace kvern::http
