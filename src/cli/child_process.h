// Running another program, without a shell in between. Thread: main.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace kvern::cli {

enum class Group {
  same,  // Ctrl-C in the terminal reaches it as well
  own,   // it does not; and the child ends when we do, however we end
};

// Starts argv[0], looked up in PATH. Its stdout goes to our stderr, its stdin is empty.
// Code::not_found when there is no such program.
Result<pid_t> start_child(const std::vector<std::string>& argv, Group group);

// Waits for its end. The exit status, or 128 + the signal that ended it.
int wait_for_child(pid_t child);

// Without waiting: true while it runs.
bool child_runs(pid_t child, int& exit_status);

// Starts and waits; Code::failed unless it exits with 0.
Status run_child(const std::vector<std::string>& argv);

}  // namespace kvern::cli
