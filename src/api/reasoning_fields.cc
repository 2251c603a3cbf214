#include "api/reasoning_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

// What was said so far; the first word on each counts, and "off" over all.
struct Wishes {
  std::optional<bool> on;
  std::optional<std::int32_t> tokens_max;
  std::string effort;
  bool spoken = false;  // of reasoning at all, if only to leave it to the model

  void say(bool enabled) {
    if (!on) on = enabled;
  }
  void limit(std::int64_t tokens) {
    if (tokens >= 0 && !tokens_max) tokens_max = static_cast<std::int32_t>(tokens);
  }
  bool off() const { return on == false || tokens_max == 0; }
};

Status read_budget(const Fields& from, std::string_view name, Wishes& out) {
  const Json* value = from.find(name);
  if (value == nullptr) return {};
  TRY(const std::int64_t tokens, to_integer(*value, {-1, INT32_MAX}, from.path_of(name)));
  out.limit(tokens);
  return {};
}

Status read_switch(const Fields& from, std::string_view name, Wishes& out) {
  bool on = false;
  TRY_OK(from.flag(name, on));
  if (from.find(name) != nullptr) out.say(on);
  return {};
}

Status read_effort(const Fields& from, std::string_view name, Wishes& out) {
  std::string effort;
  TRY_OK(from.text(name, effort));
  if (effort.size() > limits::kEffortBytes)
    return fail(Code::invalid,
                fmt::format("expected a word like \"none\", \"low\" or \"high\", found {}", shown(effort)),
                from.path_of(name));
  if (effort == "none") out.on = false;
  if (out.effort.empty()) out.effort = std::move(effort);
  return {};
}

Status read_reasoning_object(const Fields& body, Wishes& out) {
  const Json* value = body.find("reasoning");
  if (value == nullptr) return {};
  if (value->is_boolean()) return read_switch(body, "reasoning", out);
  TRY(const Fields reasoning, Fields::of(*value, body.path_of("reasoning")));
  TRY_OK(read_switch(reasoning, "enabled", out));
  TRY_OK(read_effort(reasoning, "effort", out));
  return read_budget(reasoning, "max_tokens", out);
}

Status read_thinking_object(const Fields& body, Wishes& out) {
  const Json* value = body.find("thinking");
  if (value == nullptr) return {};
  if (value->is_boolean()) return read_switch(body, "thinking", out);
  TRY(const Fields thinking, Fields::of(*value, body.path_of("thinking")));
  std::string type = "enabled";
  TRY_OK(thinking.text("type", type));
  if (type == "disabled") {
    out.say(false);
    return {};
  }
  if (type != "enabled" && type != "adaptive" && type != "auto" && type != "between_tools")
    return fail(Code::invalid, fmt::format("expected \"enabled\", \"disabled\" or \"adaptive\", found {}", shown(type)),
                thinking.path_of("type"));
  if (type == "enabled") out.say(true);
  out.spoken = true;
  return read_budget(thinking, "budget_tokens", out);
}

// These belong to the template: one of another type is none of our business.
void read_kwargs(const Json& kwargs, Wishes& out) {
  for (const char* name : {"enable_thinking", "thinking"}) {
    const auto found = kwargs.find(name);
    if (found != kwargs.end() && found->is_boolean()) out.say(found->get<bool>());
  }
  if (const auto budget = kwargs.find("thinking_budget"); budget != kwargs.end()) {
    const std::int64_t tokens = whole_number(*budget).value_or(-1);
    if (tokens <= INT32_MAX) out.limit(tokens);
  }
  const auto effort = kwargs.find("reasoning_effort");
  if (effort != kwargs.end() && effort->is_string() && out.effort.empty()) {
    out.effort = effort->get<std::string>();
    if (out.effort == "none") out.say(false);
  }
}

constexpr std::array<std::string_view, 4> kWishes = {"enable_thinking", "thinking", "thinking_budget",
                                                     "reasoning_effort"};

// What the server's own settings say where the request said nothing.
void add_defaults(const std::string& text, Json& kwargs, Wishes& wishes) {
  const Result<Json> defaults = parse_json(text);
  if (!defaults || !defaults->is_object()) return;
  const bool silent = !wishes.on && !wishes.tokens_max && wishes.effort.empty();
  for (const auto& [name, value] : defaults->items()) {
    const bool is_wish = std::find(kWishes.begin(), kWishes.end(), name) != kWishes.end();
    if (!is_wish || silent) kwargs.emplace(name, Json(value));
  }
  if (silent) read_kwargs(*defaults, wishes);
}

}  // namespace

Result<ReasoningFields> read_reasoning_fields(const Fields& body, const std::string& defaults, Unsaid unsaid) {
  TRY(const std::optional<Fields> given, body.object("chat_template_kwargs"));
  Json kwargs = given ? given->json() : Json::object();
  Wishes wishes;
  TRY_OK(read_effort(body, "reasoning_effort", wishes));
  TRY(const std::optional<Fields> config, body.object("output_config"));
  if (config) TRY_OK(read_effort(*config, "effort", wishes));
  TRY_OK(read_reasoning_object(body, wishes));
  TRY_OK(read_thinking_object(body, wishes));
  TRY_OK(read_switch(body, "enable_thinking", wishes));
  for (const char* name : {"max_reasoning_tokens", "thinking_budget", "thinking_budget_tokens", "reasoning_budget"})
    TRY_OK(read_budget(body, name, wishes));
  read_kwargs(kwargs, wishes);
  if (!defaults.empty()) add_defaults(defaults, kwargs, wishes);

  ReasoningFields out;
  out.reasoning.effort = wishes.effort;
  out.reasoning.tokens_max = wishes.tokens_max;
  if (wishes.off()) {
    out.reasoning.tokens_max = 0;
    wishes.on = false;
  }
  const bool silent = !wishes.on && !wishes.tokens_max && !wishes.spoken;
  if (silent && unsaid == Unsaid::asked_not) wishes.on = false;
  if (!wishes.effort.empty()) kwargs.emplace("reasoning_effort", wishes.effort);
  if (wishes.on) {
    kwargs.emplace("enable_thinking", *wishes.on);
    kwargs.emplace("thinking", *wishes.on);
  }
  if (!kwargs.empty()) out.template_kwargs = dump_json(kwargs);
  return out;
}

}  // namespace kvern::api
