// API keys: "Authorization: Bearer KEY" or "x-api-key: KEY", compared in constant time.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "http/server.h"

namespace kvern::http {

// The one of keys that the request carries, "" for none. Valid as long as the request.
std::string_view accepted_key(const Request& request, std::span<const std::string> keys);

// True when keys is empty or the request carries one of them.
bool authorized(const Request& request, std::span<const std::string> keys);

}  // namespace kvern::http
