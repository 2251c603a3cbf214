// What the process's exit status tells a script or a service manager. 2 and 3 mean that starting
// again without a change will not help.
#pragma once

#include "base/result.h"

namespace kvern::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;        // a flag, an environment variable or the config file is wrong
inline constexpr int kCannotStart = 3;  // the model is missing, the port is taken, no server answers
inline constexpr int kInterrupted = 130;

int exit_code(const Error& error);

}  // namespace kvern::cli
