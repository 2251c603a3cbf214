// A program that has the terminal while we wait for it, and signals that reach it. Thread: main.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace kvern::cli {

// From now on Ctrl-C, Ctrl-\, SIGTERM and SIGHUP do not end us: they are counted, and passed on to the
// program in the foreground unless its terminal has told it already. So whoever holds a temporary
// folder or a server gets to let go of it. What was ignored before stays ignored.
void hold_signals();

// How many came, and the last of them (0: none).
const volatile int& held_signals();
int last_signal();

// Runs it with our stdin, stdout and stderr, in our process group, with exactly this environment
// ("NAME=value" each). Its exit status, or 128 + the signal that ended it. Stops and goes on with it.
Result<int> run_in_foreground(const std::vector<std::string>& argv, const std::vector<std::string>& environment);

}  // namespace kvern::cli
