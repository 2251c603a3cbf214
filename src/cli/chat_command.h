// `kvern chat`: a conversation in the terminal, or one question from -p or a pipe. Thread: main.
//
// The answer goes to stdout, everything else to stderr, so that `kvern chat -p ... > file` holds
// the answer and nothing but it.
#pragma once

#include <span>
#include <string>

namespace kvern::cli {

// Returns the process's exit status.
int chat_command(std::span<const std::string> arguments);

}  // namespace kvern::cli
