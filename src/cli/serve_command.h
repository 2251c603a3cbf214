// `kvern serve`. Thread: main.
#pragma once

#include <span>
#include <string>

namespace kvern::cli {

// Returns the process's exit status, after the server ended.
int serve_command(std::span<const std::string> arguments);

}  // namespace kvern::cli
