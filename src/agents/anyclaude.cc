// AnyClaude: a proxy that starts Claude Code and asks our /v1/responses.
//
// Claude Code behind it works with ids that look like Claude's only, so the roles are told apart by
// such names; the server takes any.
#include <array>
#include <utility>

#include "agents/agents.h"
#include "agents/claude_settings.h"
#include "agents/parts.h"

namespace kvern::agents {
namespace {

constexpr std::int32_t kPromptTokens = 24'000;

}  // namespace

LaunchPlan plan_anyclaude(const LaunchRequest& request) {
  LaunchPlan plan;
  std::vector<Variable> variables = {{"OPENAI_API_URL", request.address + "/v1"},
                                     {"OPENAI_API_KEY", key_or_word(request)}};
  const ClaudeModels models = {"openai/claude-sonnet-4-5", "openai/claude-haiku-4-5", "openai/claude-opus-4-5"};
  for (Variable& variable : claude_variables(request, models)) variables.push_back(std::move(variable));
  // Where the answers of models AnyClaude does not route would come from: a local word is enough.
  for (Variable& variable : variables) {
    if (variable.name == "ANTHROPIC_AUTH_TOKEN") variable.value = "kvern";
  }
  set_claude(request, plan, variables);
  // AnyClaude sets it itself, to its own proxy; one from elsewhere would lead past it.
  drop_variable(request, plan, "ANTHROPIC_BASE_URL", "AnyClaude sets its own");
  if (!request.simple)
    remark_on_context(request, plan, kPromptTokens, "use `kvern claude --simple`, which needs no proxy");
  plan.arguments.insert(plan.arguments.end(), request.arguments.begin(), request.arguments.end());
  return plan;
}

}  // namespace kvern::agents
