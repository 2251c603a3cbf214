// What Claude Code is told, for `kvern claude` and for AnyClaude, which starts it. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "agents/launch_plan.h"

namespace kvern::agents {

// The ids it asks with, one a role.
struct ClaudeModels {
  std::string main;
  std::string aux;
  std::string subagent;
};

// Variables that fit it to a local model: ids, window, no side traffic, time enough.
std::vector<Variable> claude_variables(const LaunchRequest& request, const ClaudeModels& models);

// Puts the variables into the environment and into a settings file given with --settings, which wins
// over the user's and the project's settings; names whatever would win over that.
void set_claude(const LaunchRequest& request, LaunchPlan& plan, const std::vector<Variable>& variables);

}  // namespace kvern::agents
