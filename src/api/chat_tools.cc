#include "api/chat_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "api/format_fields.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

// How much of a grammar a model is shown: a larger one would crowd out the conversation.
constexpr std::size_t kShownGrammarBytes = 8 * 1024;

// What the model is told beside the client's words: without it nothing says that the text is no JSON,
// or which language it is in.
std::string describe_input(const TextRule& rule) {
  if (rule.syntax == TextSyntax::any) return "`input` is raw text.";
  const std::string_view kind = rule.syntax == TextSyntax::regex ? "regular expression" : "Lark grammar";
  if (rule.definition.size() > kShownGrammarBytes) return fmt::format("`input` is raw text that a {} checks.", kind);
  return fmt::format("`input` is raw text that matches this {}:\n{}", kind, rule.definition);
}

// {"type":"text"} or {"type":"grammar","grammar":{"syntax","definition"}}, the latter also flat.
Result<TextRule> read_input_format(const Fields& format) {
  TRY(const std::string type, format.required_text("type"));
  if (type == "text") return TextRule{};
  if (type != "grammar")
    return fail(Code::invalid, fmt::format("expected \"text\" or \"grammar\", found {}", shown(type)),
                format.path_of("type"));
  TRY(const std::optional<Fields> inner, format.object("grammar"));
  const Fields& grammar = inner ? *inner : format;
  TRY(const std::string syntax, grammar.required_text("syntax"));
  TRY(std::string definition, grammar.required_text("definition"));
  const std::string path = grammar.path_of("definition");
  if (definition.empty()) return fail(Code::invalid, "a grammar must not be empty", path);
  if (syntax == "lark") return read_rule(TextSyntax::lark, std::move(definition), path);
  if (syntax == "regex") return read_rule(TextSyntax::regex, std::move(definition), path);
  return fail(Code::invalid, fmt::format("expected \"lark\" or \"regex\", found {}", shown(syntax)),
              grammar.path_of("syntax"));
}

}  // namespace

Status read_parameters(const Fields& entry, std::string_view name, Tool& tool) {
  tool.parameters = "{}";
  const Json* value = entry.find(name);
  if (value == nullptr) return {};
  if (const auto schema = Fields::of(*value, entry.path_of(name))) {
    TRY(tool.parameters, schema_text(*schema));
  } else {
    tool.parameters_fault = fmt::format("{}: {}", schema.error().field, schema.error().message);
  }
  return {};
}

Result<Tool> read_function_tool(const Fields& function) {
  Tool tool;
  TRY(tool.name, function.required_text("name"));
  TRY_OK(check_tool_name(tool.name, function.path_of("name")));
  TRY_OK(function.text("description", tool.description));
  TRY_OK(read_parameters(function, "parameters", tool));
  return tool;
}

Result<Tool> read_custom_tool(const Fields& custom) {
  Tool tool;
  TRY(tool.name, custom.required_text("name"));
  TRY_OK(check_tool_name(tool.name, custom.path_of("name")));
  TRY_OK(custom.text("description", tool.description));
  TRY(const std::optional<Fields> format, custom.object("format"));
  if (format) {
    TRY(tool.input, read_input_format(*format));
  }
  tool.custom = true;
  tool.parameters = kCustomParameters;
  if (!tool.description.empty()) tool.description += "\n";
  tool.description += describe_input(tool.input);
  return tool;
}

namespace {

// What {"type": T, T: {...}} holds: that object, or the entry itself, which some clients send.
Result<Fields> holder_in(const Fields& entry, std::string_view type) {
  TRY(std::optional<Fields> inner, entry.object(type));
  return inner ? std::move(*inner) : entry;
}

enum class ToolSpelling { tools, functions };

// None when the entry is a tool that no model here could call.
Result<std::optional<Tool>> read_tool(const Json& value, std::string path, ToolSpelling spelling) {
  const auto some = [](Tool tool) { return std::optional<Tool>(std::move(tool)); };
  TRY(const Fields entry, Fields::of(value, std::move(path)));
  if (spelling == ToolSpelling::functions) return read_function_tool(entry).map(some);
  std::string type = "function";
  TRY_OK(entry.text("type", type));
  if (type == "custom") {
    TRY(const Fields custom, holder_in(entry, "custom"));
    return read_custom_tool(custom).map(some);
  }
  if (type != "function") return std::optional<Tool>();
  TRY(const Fields function, entry.required_object("function"));
  return read_function_tool(function).map(some);
}

std::string name_path(const Json& entry, const std::string& path) {
  for (const char* type : {"function", "custom"})
    if (entry.contains(type)) return fmt::format("{}.{}.name", path, type);
  return path + ".name";
}

Result<std::vector<Tool>> read_tool_list(const Json& list, const std::string& path, ToolSpelling spelling) {
  if (list.size() > limits::kTools)
    return fail(Code::too_large, fmt::format("more than {} tools", limits::kTools), path);
  std::vector<Tool> tools;
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    TRY(std::optional<Tool> tool, read_tool(list[i], indexed(path, i), spelling));
    if (!tool) continue;
    if (!names.insert(tool->name).second)
      return fail(Code::invalid, fmt::format("two tools are named {}", shown(tool->name)),
                  name_path(list[i], indexed(path, i)));
    tools.push_back(std::move(*tool));
  }
  return tools;
}

// The place in tools of the name in {T:{"name":N}} or {"name":N}, T being "function" or "custom".
Result<std::size_t> find_named(const Fields& choice, std::string_view type, std::span<const Tool> tools) {
  TRY(const Fields holder, holder_in(choice, type));
  TRY(const std::string name, holder.required_text("name"));
  const auto found = std::find_if(tools.begin(), tools.end(), [&](const Tool& tool) { return tool.name == name; });
  if (found == tools.end())
    return fail(Code::invalid, fmt::format("no tool is named {}", shown(name)), holder.path_of("name"));
  return static_cast<std::size_t>(found - tools.begin());
}

Result<ToolChoice> read_word(const std::string& word, std::string path, std::span<const Tool> tools) {
  if (word == "auto") return ToolChoice{};
  if (word == "none") return ToolChoice{ToolUse::none, {}, {}};
  if (word != "required" && word != "any")
    return fail(Code::invalid, fmt::format("expected \"auto\", \"none\" or \"required\", found {}", shown(word)),
                std::move(path));
  if (tools.empty())
    return fail(Code::invalid, fmt::format("\"{}\" needs at least one function in tools", word), std::move(path));
  return ToolChoice{ToolUse::required, {}, {}};
}

// Which of the tools a list of references names. Tools of types that are not served are no tools here.
Result<std::vector<bool>> read_references(const Json& list, const std::string& path, std::span<const Tool> tools) {
  std::vector<bool> named(tools.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    TRY(const Fields entry, Fields::of(list[i], indexed(path, i)));
    std::string type = "function";
    TRY_OK(entry.text("type", type));
    if (type != "function" && type != "custom") continue;
    TRY(const std::size_t place, find_named(entry, type, tools));
    named[place] = true;
  }
  return named;
}

// {"type":"allowed_tools","allowed_tools":{"mode","tools"}}, also flat. In the order of the tools, so
// that one set is one grammar.
Result<ToolChoice> read_allowed(const Fields& choice, std::span<const Tool> tools) {
  TRY(const Fields allowed, holder_in(choice, "allowed_tools"));
  TRY(const Json* list, allowed.list("tools"));
  if (list == nullptr) return allowed.missing("tools", "a list of tools");
  const std::string path = allowed.path_of("tools");
  TRY(const std::vector<bool> named, read_references(*list, path, tools));
  TRY(const std::string mode, allowed.required_text("mode"));
  TRY(ToolChoice out, read_word(mode, allowed.path_of("mode"), tools));
  if (std::find(named.begin(), named.end(), true) == named.end()) {
    if (out.use == ToolUse::required) return fail(Code::invalid, "no tool is allowed, but one is required", path);
    return ToolChoice{ToolUse::none, {}, {}};
  }
  if (std::find(named.begin(), named.end(), false) == named.end()) return out;
  for (std::size_t i = 0; i < tools.size(); ++i)
    if (named[i]) out.allowed.push_back(tools[i].name);
  return out;
}

}  // namespace

Status check_tool_name(std::string_view name, std::string path) {
  if (name.empty() || name.size() > limits::kToolNameBytes)
    return fail(Code::invalid,
                fmt::format("a tool name has 1 to {} characters, found {}", limits::kToolNameBytes, name.size()),
                std::move(path));
  if (!std::all_of(name.begin(), name.end(), is_tool_name_char))
    return fail(Code::invalid, fmt::format("a tool name is made of letters, digits and _.:/-, found {}", shown(name)),
                std::move(path));
  return {};
}

namespace {

struct ChatTools {
  std::vector<Tool> tools;
};

// A list that is still text.
Result<std::vector<Tool>> read_tool_list(std::string_view text, TextMemory& memory) {
  if (const auto known = memory.find<ChatTools>(text)) return known->tools;
  TRY(const Json list, parse_mended(text));
  TRY(std::vector<Tool> tools, read_tool_list(list, "tools", ToolSpelling::tools));
  const std::size_t bytes = bytes_of(tools);
  return memory.keep(text, ChatTools{std::move(tools)}, bytes)->tools;
}

}  // namespace

Result<std::vector<Tool>> read_tools(const RequestBody& body) {
  if (const auto text = body.list_text("tools"); !text.empty()) return read_tool_list(text, *body.memory());
  const Fields fields = body.fields();
  TRY(const Json* tools, fields.list("tools"));
  if (tools != nullptr) return read_tool_list(*tools, fields.path_of("tools"), ToolSpelling::tools);
  TRY(const Json* functions, fields.list("functions"));
  if (functions != nullptr) return read_tool_list(*functions, fields.path_of("functions"), ToolSpelling::functions);
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
  if (type == "allowed_tools") return read_allowed(choice, tools);
  if (type != "function" && type != "custom")
    return fail(Code::invalid,
                fmt::format("expected \"function\", \"custom\" or \"allowed_tools\", found {}", shown(type)),
                choice.path_of("type"));
  TRY(const std::size_t place, find_named(choice, type, tools));
  return ToolChoice{ToolUse::required, tools[place].name, {}};
}

}  // namespace kvern::api
