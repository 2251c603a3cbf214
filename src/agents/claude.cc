// Claude Code, over /v1/messages.
#include "agents/agents.h"
#include "agents/claude_settings.h"
#include "agents/parts.h"

namespace kvern::agents {
namespace {

constexpr std::int32_t kPromptTokens = 14'000;

}  // namespace

LaunchPlan plan_claude(const LaunchRequest& request) {
  LaunchPlan plan;
  std::vector<Variable> variables = {{"ANTHROPIC_BASE_URL", request.address}};
  const ClaudeModels models = {request.model, aux_model(request), subagent_model(request)};
  for (Variable& variable : claude_variables(request, models)) variables.push_back(std::move(variable));
  set_claude(request, plan, variables);
  if (!request.simple) remark_on_context(request, plan, kPromptTokens, "use `kvern claude --simple`");
  plan.arguments.insert(plan.arguments.end(), request.arguments.begin(), request.arguments.end());
  return plan;
}

}  // namespace kvern::agents
