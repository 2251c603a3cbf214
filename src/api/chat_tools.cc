#include "api/chat_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "api/generation_fields.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

Status check_name(std::string_view name, std::string path) {
  if (name.empty() || name.size() > limits::kToolNameBytes)
    return fail(Code::invalid,
                fmt::format("a tool name has 1 to {} characters, found {}", limits::kToolNameBytes, name.size()),
                std::move(path));
  if (!std::all_of(name.begin(), name.end(), is_tool_name_char))
    return fail(Code::invalid, fmt::format("a tool name is made of letters, digits and _.:/-, found {}", shown(name)),
                std::move(path));
  return {};
}

Result<Tool> read_function(const Fields& function) {
  Tool tool;
  TRY(tool.name, function.required_text("name"));
  TRY_OK(check_name(tool.name, function.path_of("name")));
  TRY_OK(function.text("description", tool.description));
  TRY(const std::optional<Fields> parameters, function.object("parameters"));
  tool.parameters = "{}";
  if (parameters) {
    TRY(tool.parameters, schema_text(*parameters));
  }
  return tool;
}

enum class ToolSpelling { tools, functions };

// The function a list entry describes; none when the entry is a tool of another type.
Result<std::optional<Fields>> function_of(const Json& value, std::string path, ToolSpelling spelling) {
  TRY(const Fields entry, Fields::of(value, std::move(path)));
  if (spelling == ToolSpelling::functions) return std::optional<Fields>(entry);
  std::string type = "function";
  TRY_OK(entry.text("type", type));
  if (type != "function") return std::optional<Fields>();
  TRY(Fields function, entry.required_object("function"));
  return std::optional<Fields>(std::move(function));
}

Result<std::vector<Tool>> read_tool_list(const Json& list, const std::string& path, ToolSpelling spelling) {
  if (list.size() > limits::kTools)
    return fail(Code::too_large, fmt::format("more than {} tools", limits::kTools), path);
  std::vector<Tool> tools;
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    TRY(const std::optional<Fields> function, function_of(list[i], indexed(path, i), spelling));
    if (!function) continue;
    TRY(Tool tool, read_function(*function));
    if (!names.insert(tool.name).second)
      return fail(Code::invalid, fmt::format("two tools are named {}", shown(tool.name)), function->path_of("name"));
    tools.push_back(std::move(tool));
  }
  return tools;
}

Result<ToolChoice> named(std::string name, std::string path, std::span<const Tool> tools) {
  const bool known = std::any_of(tools.begin(), tools.end(), [&](const Tool& tool) { return tool.name == name; });
  if (!known) return fail(Code::invalid, fmt::format("no tool is named {}", shown(name)), std::move(path));
  return ToolChoice{ToolUse::required, std::move(name)};
}

// The name in {"function":{"name":N}} or {"name":N}; either is seen in the wild.
Result<ToolChoice> read_named(const Fields& choice, std::span<const Tool> tools) {
  TRY(const std::optional<Fields> function, choice.object("function"));
  const Fields& holder = function ? *function : choice;
  TRY(std::string name, holder.required_text("name"));
  return named(std::move(name), holder.path_of("name"), tools);
}

Result<ToolChoice> read_word(const std::string& word, std::string path, std::span<const Tool> tools) {
  if (word == "auto") return ToolChoice{ToolUse::automatic, ""};
  if (word == "none") return ToolChoice{ToolUse::none, ""};
  if (word != "required" && word != "any")
    return fail(Code::invalid, fmt::format("expected \"auto\", \"none\" or \"required\", found {}", shown(word)),
                std::move(path));
  if (tools.empty())
    return fail(Code::invalid, fmt::format("\"{}\" needs at least one function in tools", word), std::move(path));
  return ToolChoice{ToolUse::required, ""};
}

// A subset of the tools. The choice can say "any of them" and "this one" only, so those subsets are
// what can be served; a wider answer than the client allowed would be worse than an error.
Result<ToolChoice> read_allowed(const Fields& choice, std::span<const Tool> tools) {
  TRY(const std::optional<Fields> inner, choice.object("allowed_tools"));
  const Fields& allowed = inner ? *inner : choice;
  TRY(const Json* list, allowed.list("tools"));
  if (list == nullptr) return allowed.missing("tools", "a list of tools");
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < list->size(); ++i) {
    TRY(const Fields entry, Fields::of((*list)[i], indexed(allowed.path_of("tools"), i)));
    TRY(const ToolChoice one, read_named(entry, tools));
    names.insert(one.name);
  }
  TRY(const std::string mode, allowed.required_text("mode"));
  TRY(const ToolChoice all, read_word(mode, allowed.path_of("mode"), tools));
  if (names.size() == tools.size()) return all;
  if (names.size() == 1 && all.use == ToolUse::required) return ToolChoice{ToolUse::required, *names.begin()};
  return fail(Code::invalid, "allowing some of several tools is not supported yet: allow all of them, or require one",
              allowed.path_of("tools"));
}

}  // namespace

Result<std::vector<Tool>> read_tools(const Fields& body) {
  TRY(const Json* tools, body.list("tools"));
  if (tools != nullptr) return read_tool_list(*tools, body.path_of("tools"), ToolSpelling::tools);
  TRY(const Json* functions, body.list("functions"));
  if (functions != nullptr) return read_tool_list(*functions, body.path_of("functions"), ToolSpelling::functions);
  return std::vector<Tool>();
}

Result<ToolChoice> read_tool_choice(const Fields& body, std::span<const Tool> tools) {
  const char* name = body.find("tool_choice") != nullptr ? "tool_choice" : "function_call";
  const Json* value = body.find(name);
  if (value == nullptr) return ToolChoice{};
  if (const auto* word = value->get_ptr<const std::string*>()) return read_word(*word, body.path_of(name), tools);
  if (!value->is_object()) return mismatch(body.path_of(name), "a string or an object", *value);
  TRY(const Fields choice, Fields::of(*value, body.path_of(name)));
  std::string type = "function";
  TRY_OK(choice.text("type", type));
  if (type == "function") return read_named(choice, tools);
  if (type == "allowed_tools") return read_allowed(choice, tools);
  return fail(Code::invalid, fmt::format("expected \"function\" or \"allowed_tools\", found {}", shown(type)),
              choice.path_of("type"));
}

}  // namespace kvern::api
