#include "engine/fake/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.h"
#include "base/limits.h"

namespace kvern::engine {
namespace {

constexpr std::size_t kScriptBytes = 16 * 1024 * 1024;
constexpr std::int32_t kPositionsMax = 16 * 1024 * 1024;

Result<std::string> read_file(const std::string& path, std::size_t bytes_max, const std::string& field) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    return fail(Code::not_found, fmt::format("cannot read the file '{}'", path), field);
  if (text.view().size() > bytes_max)
    return fail(Code::too_large, fmt::format("the file '{}' is larger than {} bytes", path, bytes_max), field);
  return std::move(text).str();
}

tl::unexpected<Error> wrong(const std::string& field, std::string_view what) {
  return fail(Code::invalid, fmt::format("'{}' in the script {}", field, what), field);
}

Status known_keys(const Json& object, const std::string& prefix, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) return wrong(prefix + key, "is no key of a script");
  }
  return {};
}

// The readers leave `out` as it is when the key is absent.
Status read_integer(const Json& object, const char* key, const std::string& prefix, std::int32_t most,
                    std::int32_t& out) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  const std::string expected = fmt::format("must be a whole number from 1 to {}", most);
  if (!found->is_number_integer()) return wrong(prefix + key, expected);
  if (*found < 1 || *found > most) return wrong(prefix + key, expected);
  out = found->get<std::int32_t>();
  return {};
}

Status read_rate(const Json& object, const char* key, double& out) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_number()) return wrong(key, "must be a number, 0 for no limit");
  out = found->get<double>();
  if (!std::isfinite(out) || out < 0 || (out > 0 && out < 0.001)) return wrong(key, "must be 0 or at least 0.001");
  return {};
}

Status read_string(const Json& object, const char* key, const std::string& prefix, std::string& out) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_string()) return wrong(prefix + key, "must be a string");
  out = found->get<std::string>();
  return {};
}

Status read_state(const Json& object, Script& script) {
  std::string state = "attention";
  TRY_OK(read_string(object, "state", "", state));
  if (state == "attention") {
    script.keeps = Keeps::rows;
  } else if (state == "sliding_window") {
    script.keeps = Keeps::rows_and_window;
  } else if (state == "hybrid") {
    script.keeps = Keeps::rows_and_state;
  } else if (state == "recurrent") {
    script.keeps = Keeps::state;
  } else {
    return wrong("state", "must be attention, sliding_window, recurrent or hybrid");
  }
  TRY_OK(read_integer(object, "window", "", kPositionsMax, script.window));
  const bool windowed = script.keeps == Keeps::rows_and_window;
  if (windowed && script.window == 0) return wrong("window", "is missing: sliding_window needs it");
  if (!windowed && script.window != 0) return wrong("window", "is only for the state sliding_window");
  return {};
}

// Replaces {{N}} by groups[N], or stops at the first N there is no group for.
struct Expansion {
  std::string text;
  int missing_group = -1;
};

Expansion expand(std::string_view say, const std::vector<std::string>& groups) {
  Expansion out;
  while (!say.empty()) {
    std::size_t end = 2;
    while (end < say.size() && end < 5 && say[end] >= '0' && say[end] <= '9') ++end;
    if (!say.starts_with("{{") || end == 2 || !say.substr(end).starts_with("}}")) {
      out.text += say.front();
      say.remove_prefix(1);
      continue;
    }
    const int group = std::stoi(std::string(say.substr(2, end - 2)));
    if (static_cast<std::size_t>(group) >= groups.size()) {
      out.missing_group = group;
      return out;
    }
    out.text += groups[static_cast<std::size_t>(group)];
    say.remove_prefix(end + 2);
  }
  return out;
}

Result<std::optional<Pattern>> read_pattern(const Json& object, const char* key, const std::string& prefix) {
  if (!object.contains(key)) return std::nullopt;
  std::string source;
  TRY_OK(read_string(object, key, prefix, source));
  auto pattern = Pattern::compile(source);
  if (!pattern) return wrong(prefix + key, fmt::format("is not usable: {}", pattern.error().message));
  return std::move(*pattern);
}

Result<Rule> read_rule(const Json& json, const std::string& field) {
  if (!json.is_object()) return wrong(field, "must be an object");
  const std::string prefix = field + ".";
  TRY_OK(known_keys(json, prefix, {"when", "anywhere", "say", "times"}));
  if (!json.contains("say")) return wrong(prefix + "say", "is missing");
  Rule rule;
  TRY_OK(read_string(json, "say", prefix, rule.say));
  TRY_OK(read_integer(json, "times", prefix, kPositionsMax, rule.times));
  TRY(rule.when, read_pattern(json, "when", prefix));
  TRY(rule.anywhere, read_pattern(json, "anywhere", prefix));
  const int groups = rule.when ? rule.when->groups() : -1;
  const int missing = expand(rule.say, std::vector<std::string>(static_cast<std::size_t>(groups + 1))).missing_group;
  if (missing >= 0)
    return wrong(prefix + "say", fmt::format("uses {{{{{}}}}}, but its when has no such group", missing));
  return rule;
}

Status read_rules(const Json& object, std::vector<Rule>& out) {
  const auto rules = object.find("rules");
  if (rules == object.end()) return wrong("rules", "is missing");
  if (!rules->is_array()) return wrong("rules", "must be a list");
  for (std::size_t i = 0; i < rules->size(); ++i) {
    TRY(Rule rule, read_rule((*rules)[i], fmt::format("rules[{}]", i)));
    out.push_back(std::move(rule));
  }
  return {};
}

}  // namespace

Result<Script> parse_script(std::string_view json_text, const std::string& folder) {
  TRY(const Json json, parse_json(json_text));
  if (!json.is_object()) return fail(Code::invalid, "the script must be a JSON object");
  TRY_OK(known_keys(json, "",
                    {"context", "cells", "sequences", "batch", "state", "window", "dialect", "template",
                     "tokens_per_second", "prefill_tokens_per_second", "rules"}));
  Script script;
  TRY_OK(read_integer(json, "context", "", kPositionsMax, script.context));
  TRY_OK(read_integer(json, "cells", "", kPositionsMax, script.cells));
  TRY_OK(read_integer(json, "sequences", "", static_cast<std::int32_t>(limits::kSequences), script.sequences));
  TRY_OK(read_integer(json, "batch", "", kPositionsMax, script.batch));
  TRY_OK(read_state(json, script));
  TRY_OK(read_string(json, "dialect", "", script.dialect));
  TRY_OK(read_rate(json, "tokens_per_second", script.tokens_per_second));
  TRY_OK(read_rate(json, "prefill_tokens_per_second", script.prefill_tokens_per_second));
  TRY_OK(read_rules(json, script.rules));
  std::string template_path;
  TRY_OK(read_string(json, "template", "", template_path));
  if (!template_path.empty()) {
    const auto path = std::filesystem::path(folder) / template_path;
    TRY(script.chat_template, read_file(path.string(), limits::kTemplateBytes, "template"));
  }
  return script;
}

Result<Script> read_script(const std::string& path) {
  TRY(const std::string text, read_file(path, kScriptBytes, ""));
  auto script = parse_script(text, std::filesystem::path(path).parent_path().string());
  if (!script) {
    Error error = std::move(script).error();
    error.message = fmt::format("{}: {}", path, error.message);
    return tl::unexpected(std::move(error));
  }
  return script;
}

std::optional<std::string> answer(const Rule& rule, const Heard& heard) {
  if (rule.anywhere && !rule.anywhere->search(heard.prompt)) return std::nullopt;
  if (!rule.when) return rule.say;
  const auto groups = rule.when->search(heard.turn);
  if (!groups) return std::nullopt;
  return expand(rule.say, *groups).text;
}

}  // namespace kvern::engine
