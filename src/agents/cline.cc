// The Cline CLI, over /v1/chat/completions.
//
// Address, key and window stand in its providers file. A variable moves that file alone, so sessions
// and MCP servers stay where they are; --data-dir would move them all.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agents/agents.h"
#include "agents/parts.h"

namespace kvern::agents {
namespace {

constexpr std::int32_t kPromptTokens = 6'000;
constexpr std::string_view kProvider = "openai-compatible";
constexpr std::string_view kFile = "providers.json";

Json providers(const LaunchRequest& request) {
  const Json settings = {{"provider", kProvider},
                         {"apiKey", key_or_word(request)},
                         {"model", request.model},
                         {"baseUrl", request.address + "/v1"},
                         {"contextWindow", request.context},
                         {"maxTokens", output_tokens(request)},
                         {"timeout", 3'000'000}};
  Json out = {{"version", 1}, {"lastUsedProvider", kProvider}, {"modes", Json::object()}};
  // The client asks for a date; any will do, it writes its own.
  out["providers"][std::string(kProvider)] = {
      {"settings", settings}, {"updatedAt", "2026-01-01T00:00:00.000Z"}, {"tokenSource", "manual"}};
  return out;
}

}  // namespace

LaunchPlan plan_cline(const LaunchRequest& request) {
  LaunchPlan plan;
  plan.files.push_back({std::string(kFile), dump_json(providers(request))});
  replace_variable(request, plan, "CLINE_PROVIDER_SETTINGS_PATH", fmt::format("{}/{}", request.folder, kFile));
  // Its background process would outlive this run, and go on with these settings.
  replace_variable(request, plan, "CLINE_SESSION_BACKEND_MODE", "local");
  for (const char* name : {"CLINE_PROVIDER", "CLINE_MODEL", "CLINE_API_KEY"}) {
    drop_variable(request, plan, name, "it would choose another server or model");
  }
  bypass_proxies(request, plan);
  remark_on_context(request, plan, kPromptTokens, "");
  if (user_gave(request, {"-P", "--provider", "-k", "--key", "--data-dir", "--config"})) {
    plan.remarks.emplace_back("warning: your own --provider, --key, --data-dir or --config may lead past kvern");
  }
  plan.arguments = request.arguments;
  return plan;
}

}  // namespace kvern::agents
