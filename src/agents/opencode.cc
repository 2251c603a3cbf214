// opencode, over /v1/chat/completions.
//
// OPENCODE_CONFIG_CONTENT is merged last, over the user's and the project's opencode.json; a file
// named by OPENCODE_CONFIG would lose against the project's.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agents/agents.h"
#include "agents/parts.h"

namespace kvern::agents {
namespace {

constexpr std::int32_t kPromptTokens = 9'000;

Json model_entry(const LaunchRequest& request, const std::string& id) {
  return {
      {"name", id}, {"tool_call", true}, {"limit", {{"context", request.context}, {"output", output_tokens(request)}}}};
}

Json config(const LaunchRequest& request) {
  Json provider = {{"npm", "@ai-sdk/openai-compatible"}, {"name", "kvern"}};
  // No limit on the time of one answer: prefill of a long prompt may take minutes.
  provider["options"] = {{"baseURL", request.address + "/v1"}, {"apiKey", key_or_word(request)}, {"timeout", false}};
  provider["models"] = Json::object();
  for (const std::string& id : {request.model, aux_model(request), subagent_model(request)}) {
    provider["models"][id] = model_entry(request, id);
  }
  Json out = {{"$schema", "https://opencode.ai/config.json"}};
  out["provider"] = {{"kvern", std::move(provider)}};
  out["model"] = "kvern/" + request.model;
  out["small_model"] = "kvern/" + aux_model(request);
  for (const char* agent : {"general", "explore"}) out["agent"][agent]["model"] = "kvern/" + subagent_model(request);
  return out;
}

}  // namespace

LaunchPlan plan_opencode(const LaunchRequest& request) {
  LaunchPlan plan;
  replace_variable(request, plan, "OPENCODE_CONFIG_CONTENT", dump_json(config(request)));
  bypass_proxies(request, plan);
  for (const char* path : {"opencode.json", "opencode.jsonc", ".opencode/opencode.json", ".opencode/opencode.jsonc"}) {
    if (!request.file(path)) continue;
    plan.remarks.push_back(
        fmt::format("{} of this project stays in use; its model and small_model are replaced", path));
  }
  if (request.file("/etc/opencode/opencode.json"))
    plan.remarks.emplace_back("warning: /etc/opencode/opencode.json is managed and wins over this run");
  if (user_gave(request, {"-m", "--model"}))
    plan.remarks.push_back(
        fmt::format("your --model decides; kvern's models are called kvern/{} and so on", request.model));
  remark_on_context(request, plan, kPromptTokens, "");
  plan.arguments = request.arguments;
  return plan;
}

}  // namespace kvern::agents
