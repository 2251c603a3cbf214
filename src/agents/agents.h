// The agents kvern can start, one file each. Thread: any.
#pragma once

#include <span>
#include <string_view>

#include "agents/launch_plan.h"

namespace kvern::agents {

LaunchPlan plan_claude(const LaunchRequest& request);
LaunchPlan plan_codex(const LaunchRequest& request);
LaunchPlan plan_opencode(const LaunchRequest& request);
LaunchPlan plan_qwen(const LaunchRequest& request);
LaunchPlan plan_cline(const LaunchRequest& request);
LaunchPlan plan_anyclaude(const LaunchRequest& request);

std::span<const Agent> all_agents();

// Null when there is none of that name.
const Agent* find_agent(std::string_view name);

}  // namespace kvern::agents
