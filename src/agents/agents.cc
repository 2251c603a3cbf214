#include "agents/agents.h"

#include <array>

namespace kvern::agents {
namespace {

constexpr std::array kAgents = {
    Agent{"claude", "Claude Code", "claude", "npm install -g @anthropic-ai/claude-code", "docs/clients/claude-code.md",
          plan_claude},
    Agent{"codex", "Codex", "codex", "npm install -g @openai/codex", "docs/clients/codex.md", plan_codex},
    Agent{"opencode", "opencode", "opencode", "npm install -g opencode-ai", "docs/clients/opencode.md", plan_opencode},
    Agent{"qwen", "Qwen Code", "qwen", "npm install -g @qwen-code/qwen-code", "docs/clients/qwen-code.md", plan_qwen},
    Agent{"cline", "Cline", "cline", "npm install -g cline", "docs/clients/cline.md", plan_cline},
    Agent{"anyclaude", "AnyClaude", "anyclaude",
          "git clone https://github.com/coder/anyclaude, then build it as its README says", "docs/clients/anyclaude.md",
          plan_anyclaude},
};

}  // namespace

std::span<const Agent> all_agents() { return kAgents; }

const Agent* find_agent(std::string_view name) {
  for (const Agent& agent : kAgents) {
    if (agent.name == name) return &agent;
  }
  return nullptr;
}

}  // namespace kvern::agents
