// Codex, over /v1/responses.
//
// Everything goes in as `-c key=value`, which wins over ~/.codex/config.toml without changing it, so
// that the user's sessions, log-in and MCP servers stay in use. A CODEX_HOME of our own would hide
// them; a profile would have to be written into the user's file.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "agents/agents.h"
#include "agents/parts.h"

namespace kvern::agents {
namespace {

constexpr std::int32_t kPromptTokens = 8'000;
constexpr std::string_view kCatalog = "models.json";

// In place of the long instructions Codex brings for models it does not know.
constexpr std::string_view kInstructions =
    "You are a coding agent. You work in the user's repository on their own machine, through the tools you are "
    "given.\n\n"
    "- Look before you change: read the files the task is about, and search for who uses what you touch.\n"
    "- Make the smallest change that does what was asked, in the style of the code around it.\n"
    "- Edit files with apply_patch where that tool is offered, else with the shell.\n"
    "- Run the tests or the program where you can, and read what they print before you say that it works.\n"
    "- Never undo work you did not do, and never delete, push or install anything unless you were asked to.\n"
    "- When a command fails, find out why; do not run the same thing again unchanged.\n"
    "- Ask only when the answer would change what you do; otherwise decide, and say what you decided.\n\n"
    "Keep what you write between calls short. At the end say in a few lines what you changed, in which files, and "
    "how you checked it.\n";

Json catalog_entry(const LaunchRequest& request, const std::string& id, int priority) {
  Json entry = {{"slug", id}, {"display_name", id}, {"context_window", request.context}};
  entry["shell_type"] = "default";
  entry["visibility"] = priority == 0 ? "list" : "hide";
  entry["supported_in_api"] = true;
  entry["priority"] = priority;
  entry["truncation_policy"] = {{"mode", "bytes"}, {"limit", 10'000}};
  entry["input_modalities"] = {"text"};
  entry["base_instructions"] = kInstructions;
  entry["support_verbosity"] = false;
  entry["apply_patch_tool_type"] = "freeform";
  entry["supports_parallel_tool_calls"] = true;
  entry["supports_reasoning_summaries"] = false;
  entry["supported_reasoning_levels"] = Json::array();
  entry["experimental_supported_tools"] = Json::array();
  return entry;
}

// A TOML string; JSON's escapes are among TOML's.
std::string quoted(const std::string& text) { return dump_json(Json(text)); }

void override_config(LaunchPlan& plan, std::string_view key, std::string_view value) {
  plan.arguments.emplace_back("-c");
  plan.arguments.push_back(fmt::format("{}={}", key, value));
}

// A profile chosen in the user's file wins over single keys, whoever sets them.
void remark_on_profile(const LaunchRequest& request, LaunchPlan& plan) {
  const auto home = request.environment("CODEX_HOME");
  const auto path =
      home && !home->empty() ? std::optional(*home + "/config.toml") : in_home(request, ".codex/config.toml");
  const auto text = path ? request.file(*path) : std::nullopt;
  if (!text) return;
  std::size_t start = 0;
  while (start < text->size()) {
    const std::size_t end = std::min(text->find('\n', start), text->size());
    const std::string_view line = std::string_view(*text).substr(start, end - start);
    if (line.starts_with('[')) return;  // what follows stands in a table
    if (line.starts_with("profile ") || line.starts_with("profile=")) {
      plan.remarks.push_back(
          fmt::format("warning: {} chooses a profile: older Codex lets it win over this run, newer refuses it", *path));
      return;
    }
    start = end + 1;
  }
}

}  // namespace

LaunchPlan plan_codex(const LaunchRequest& request) {
  LaunchPlan plan;
  const std::string catalog = fmt::format("{}/{}", request.folder, kCatalog);
  const std::string provider = "model_providers.kvern.";
  override_config(plan, "model", quoted(request.model));
  override_config(plan, "review_model", quoted(subagent_model(request)));
  override_config(plan, "model_provider", quoted("kvern"));
  override_config(plan, provider + "name", quoted("kvern"));
  override_config(plan, provider + "base_url", quoted(request.address + "/v1"));
  override_config(plan, provider + "wire_api", quoted("responses"));
  override_config(plan, provider + "stream_idle_timeout_ms", "3000000");
  if (!request.api_key.empty()) {
    override_config(plan, provider + "env_key", quoted("KVERN_API_KEY"));
    plan.set.push_back({"KVERN_API_KEY", request.api_key});
  }
  override_config(plan, "model_context_window", fmt::to_string(request.context));
  override_config(plan, "model_auto_compact_token_limit",
                  fmt::to_string(std::int64_t{request.context} * compact_percent(request) / 100));
  override_config(plan, "model_catalog_json", quoted(catalog));
  override_config(plan, "web_search", quoted("disabled"));
  override_config(plan, "analytics.enabled", "false");
  const Json models = {catalog_entry(request, request.model, 0), catalog_entry(request, aux_model(request), 1),
                       catalog_entry(request, subagent_model(request), 2)};
  plan.files.push_back({std::string(kCatalog), dump_json({{"models", models}})});
  bypass_proxies(request, plan);
  remark_on_context(request, plan, kPromptTokens, "");
  remark_on_profile(request, plan);
  if (user_gave(request, {"--oss", "--local-provider", "-p", "--profile"}))
    plan.remarks.emplace_back("warning: --oss, --local-provider and --profile choose another server than kvern");
  plan.arguments.insert(plan.arguments.end(), request.arguments.begin(), request.arguments.end());
  return plan;
}

}  // namespace kvern::agents
