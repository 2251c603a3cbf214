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

enum class Streams {
  talk,  // stdin is empty, stdout and stderr go to our stderr, or to output_fd
  ours,  // the terminal, or whatever we have
};

struct ChildSetup {
  Group group = Group::same;
  Streams streams = Streams::talk;
  int output_fd = 2;                          // for Streams::talk
  std::vector<std::string> environment = {};  // "NAME=value" each, all of it; empty: ours
};

// Starts argv[0], looked up in PATH. Code::not_found when there is no such program.
Result<pid_t> start_child(const std::vector<std::string>& argv, const ChildSetup& setup);

// Its program in the folders of PATH; empty when there is none that can be started.
std::string find_program(const std::string& name, const std::string& path_variable);

// Waits for its end. The exit status, or 128 + the signal that ended it.
int wait_for_child(pid_t child);

// The same from what waitpid() gives.
int exit_status(int raw);

// Without waiting: true while it runs.
bool child_runs(pid_t child, int& status);

// Starts and waits; Code::failed unless it exits with 0.
Status run_child(const std::vector<std::string>& argv);

}  // namespace kvern::cli
