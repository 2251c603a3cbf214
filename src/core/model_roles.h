// The names the launchers give one model in its roles, MODEL and this behind it. The server serves any name;
// these say how urgent a request is.
#pragma once

#include <string_view>

namespace kvern {

inline constexpr std::string_view kAuxRole = ":aux";            // titles, summaries, a classifier's verdict
inline constexpr std::string_view kSubagentRole = ":subagent";  // agents an agent starts

}  // namespace kvern
