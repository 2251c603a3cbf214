// `kvern claude`, `kvern codex` and so on. Thread: main.
#pragma once

#include <span>
#include <string>

#include "agents/launch_plan.h"

namespace kvern::cli {

// The client's own exit status, or one of exit_code.h when it did not come to that.
int launch_command(const agents::Agent& agent, std::span<const std::string> arguments);

}  // namespace kvern::cli
