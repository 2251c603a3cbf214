// `kvern cache why`: a server's answer to "why did reuse stop here", in words. Pure; thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "core/usage.h"

namespace kvern::cli {

// One sentence each; docs/why-reuse-stops.md has a section for every reason.
std::string_view meaning(ReuseStop why);
std::string_view advice(ReuseStop why);

// report: GET /admin/cache/why/ID. fd: the reason is bold where it shows colours.
std::string why_text(const Json& report, std::int64_t now_s, int fd);

}  // namespace kvern::cli
