// `kvern status`: a running server in a line. Thread: main.
#pragma once

#include <span>
#include <string>

namespace kvern::cli {

// With --line it exits with 0 always, and says nothing when no server answers: what a status line of
// another program wants.
int status_command(std::span<const std::string> arguments);

}  // namespace kvern::cli
