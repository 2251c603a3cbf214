// Qwen Code, over /v1/chat/completions.
//
// The window can be said in settings only, and a model the user's settings list wins over variables. Of
// its four settings files the system's has the last word and a variable that moves it, so ours is that
// file with our model added: what an administrator wrote stays in it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agents/agents.h"
#include "agents/parts.h"

namespace kvern::agents {
namespace {

constexpr std::int32_t kPromptTokens = 20'000;
constexpr std::string_view kFile = "settings.json";
constexpr const char* kFileVariable = "QWEN_CODE_SYSTEM_SETTINGS_PATH";

// The value as an object, whatever it was.
Json& object_at(Json& parent, const char* name) {
  Json& value = parent[name];
  if (!value.is_object()) value = Json::object();
  return value;
}

Json system_settings(const LaunchRequest& request, LaunchPlan& plan) {
  const auto named = request.environment(kFileVariable);
  const std::string path = named && !named->empty() ? *named : "/etc/qwen-code/settings.json";
  Json settings = read_object(request, plan, path).value_or(Json::object());
  if (!settings.empty()) plan.remarks.push_back(fmt::format("{} stays in force, with kvern's model added", path));
  const Json generation = {{"contextWindowSize", request.context},
                           {"timeout", 3'000'000},
                           {"samplingParams", {{"max_tokens", output_tokens(request)}}}};
  // A model of the user's with the same id would win over variables; a list here takes theirs' place.
  object_at(settings, "modelProviders")["openai"] = Json::array({{{"id", request.model},
                                                                  {"envKey", "OPENAI_API_KEY"},
                                                                  {"baseUrl", request.address + "/v1"},
                                                                  {"generationConfig", generation}}});
  object_at(settings, "model")["name"] = request.model;
  object_at(object_at(settings, "security"), "auth")["selectedType"] = "openai";
  object_at(settings, "privacy")["usageStatisticsEnabled"] = false;
  return settings;
}

}  // namespace

LaunchPlan plan_qwen(const LaunchRequest& request) {
  LaunchPlan plan;
  replace_variable(request, plan, "OPENAI_BASE_URL", request.address + "/v1");
  replace_variable(request, plan, "OPENAI_API_KEY", key_or_word(request));
  replace_variable(request, plan, "OPENAI_MODEL", request.model);
  plan.files.push_back({std::string(kFile), dump_json(system_settings(request, plan))});
  plan.set.push_back({kFileVariable, fmt::format("{}/{}", request.folder, kFile)});
  drop_variable(request, plan, "QWEN_MODEL", "it would choose another model");
  bypass_proxies(request, plan);
  remark_on_context(request, plan, kPromptTokens, "");
  if (user_gave(request, {"--auth-type", "--openai-base-url", "--openai-api-key", "-m", "--model"})) {
    plan.remarks.emplace_back("your own --auth-type, --openai-* and --model decide over what kvern sets");
  }
  plan.arguments = request.arguments;  // none of ours: its subcommands refuse the flags of a session
  return plan;
}

}  // namespace kvern::agents
