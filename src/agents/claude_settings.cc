#include "agents/claude_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "agents/parts.h"
#include "agents/shell_text.h"

namespace kvern::agents {
namespace {

constexpr std::string_view kFile = "settings.json";

// Each would send requests to another place than our server, or ask with another key.
constexpr std::array<const char*, 6> kDetours = {
    "ANTHROPIC_API_KEY",       "CLAUDE_CODE_USE_BEDROCK",    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY", "ANTHROPIC_SMALL_FAST_MODEL", "CLAUDE_CODE_OAUTH_TOKEN",
};

struct Source {
  std::string path;
  bool managed = false;  // an administrator's: wins over --settings
};

std::vector<Source> settings_files(const LaunchRequest& request) {
  std::vector<Source> files;
  const auto folder = request.environment("CLAUDE_CONFIG_DIR");
  if (folder && !folder->empty()) {
    files.push_back({*folder + "/settings.json"});
  } else if (const auto path = in_home(request, ".claude/settings.json")) {
    files.push_back({*path});
  }
  files.push_back({".claude/settings.json"});
  files.push_back({".claude/settings.local.json"});
  files.push_back({"/etc/claude-code/managed-settings.json", true});
  files.push_back({"/Library/Application Support/ClaudeCode/managed-settings.json", true});
  return files;
}

// What the user has settled, and we leave alone.
struct Settled {
  bool status_line = false;
  bool permission_mode = false;
};

bool has_permission_mode(const Json& settings) {
  const auto permissions = settings.find("permissions");
  return permissions != settings.end() && permissions->is_object() && permissions->contains("defaultMode");
}

// Remarks on what the files set of what we set, too.
Settled compare(const LaunchRequest& request, LaunchPlan& plan, const Json& ours) {
  Settled settled;
  for (const Source& source : settings_files(request)) {
    const auto settings = read_object(request, plan, source.path);
    if (!settings) continue;
    settled.status_line = settled.status_line || settings->contains("statusLine");
    settled.permission_mode = settled.permission_mode || has_permission_mode(*settings);
    if (source.managed && settings->contains("model")) {
      plan.remarks.push_back(fmt::format("warning: {} sets a model and wins over this run", source.path));
    }
    const auto env = settings->find("env");
    if (env == settings->end() || !env->is_object()) continue;
    std::string names;
    for (const auto& [name, value] : env->items()) {
      if (!ours.contains(name) || value == ours[name]) continue;
      names += (names.empty() ? "" : ", ") + name;
    }
    if (names.empty()) continue;
    plan.remarks.push_back(
        source.managed ? fmt::format("warning: {} sets {} and wins over this run: ask whoever manages this machine",
                                     source.path, names)
                       : fmt::format("{} sets {}: replaced for this run, the file stays as it is", source.path, names));
  }
  return settled;
}

}  // namespace

std::vector<Variable> claude_variables(const LaunchRequest& request, const ClaudeModels& models) {
  std::vector<Variable> set = {
      {"ANTHROPIC_AUTH_TOKEN", key_or_word(request)},
      {"ANTHROPIC_MODEL", models.main},
      {"ANTHROPIC_DEFAULT_OPUS_MODEL", models.main},
      {"ANTHROPIC_DEFAULT_FABLE_MODEL", models.main},
      {"ANTHROPIC_DEFAULT_SONNET_MODEL", models.aux},  // also judges commands in permission mode auto
      {"ANTHROPIC_DEFAULT_HAIKU_MODEL", models.aux},
      {"CLAUDE_CODE_SUBAGENT_MODEL", models.subagent},
      {"CLAUDE_CODE_MAX_CONTEXT_TOKENS", fmt::to_string(request.context)},
      {"CLAUDE_CODE_MAX_OUTPUT_TOKENS", fmt::to_string(output_tokens(request))},
      {"CLAUDE_AUTOCOMPACT_PCT_OVERRIDE", fmt::to_string(compact_percent(request))},
      {"CLAUDE_CODE_ATTRIBUTION_HEADER", "0"},       // changes with every request, at the very beginning
      {"CLAUDE_CODE_TOTAL_TOKENS_REMINDER", "off"},  // changes with every request
      {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"},
      {"API_TIMEOUT_MS", "3000000"},
  };
  if (request.simple) set.push_back({"CLAUDE_CODE_SIMPLE", "1"});
  return set;
}

void set_claude(const LaunchRequest& request, LaunchPlan& plan, const std::vector<Variable>& variables) {
  Json env = Json::object();
  for (const Variable& variable : variables) {
    replace_variable(request, plan, variable.name, variable.value);
    env[variable.name] = variable.value;
  }
  for (const char* name : kDetours) {
    drop_variable(request, plan, name, "it would lead requests elsewhere");
    env[name] = "";  // so that the user's own settings cannot bring it back
  }
  bypass_proxies(request, plan);
  const Settled settled = compare(request, plan, env);
  if (user_gave(request, {"--settings"})) {
    plan.remarks.emplace_back("your --settings takes the place of kvern's; the environment alone carries this run");
    return;
  }
  Json settings = {{"env", std::move(env)}};
  if (settled.status_line) {
    plan.remarks.emplace_back("you have a status line, so kvern brings none");
  } else if (!request.kvern.empty()) {
    const std::string command =
        fmt::format("{} status --line --server {}", shell_quote(request.kvern), shell_quote(request.address));
    settings["statusLine"] = {{"type", "command"}, {"command", command}, {"refreshInterval", 2}};
  }
  if (!settled.permission_mode) {
    // Its own default, "auto", asks the model about every command, each time behind a prompt of 35,000 tokens.
    settings["permissions"] = {{"defaultMode", "default"}};
    plan.remarks.emplace_back(
        "it starts in permission mode default, in which it asks you; mode auto would ask the model, with a prompt of "
        "35,000 tokens (shift+tab changes it)");
  }
  plan.files.push_back({std::string(kFile), dump_json(settings)});
  plan.arguments.insert(plan.arguments.end(), {"--settings", fmt::format("{}/{}", request.folder, kFile)});
}

}  // namespace kvern::agents
