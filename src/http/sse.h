// Server-sent events framing (https://html.spec.whatwg.org/multipage/server-sent-events.html).
#pragma once

#include <string>
#include <string_view>

namespace kvern::http {

// Appends "event: NAME\n" (when NAME is not empty), "data: ..." for each line of data, and a blank
// line.
void append_sse(std::string& out, std::string_view event, std::string_view data);

inline constexpr std::string_view kSsePing = ": keep-alive\n\n";

}  // namespace kvern::http
