// The target of a request line: "/v1/models?limit=3", or the absolute form proxies send.
#pragma once

#include <string_view>

#include "base/result.h"
#include "http/server.h"

namespace kvern::http {

// Sets request.path (percent-decoded) and request.query (raw). Code::invalid when the target is no
// path, an escape is broken, or a decoded byte is NUL.
Status set_target(Request& request, std::string_view target);

}  // namespace kvern::http
