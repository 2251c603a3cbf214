#include "api/responses_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "api/chat_tools.h"
#include "base/hash.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

constexpr std::string_view kSeparator = "__";
constexpr std::string_view kToolSearch = "tool_search";
constexpr std::string_view kLocalShell = "local_shell";
constexpr const char* kLocalShellParameters =
    R"({"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},)"
    R"("description":"The program and its arguments."},"working_directory":{"type":"string"},)"
    R"("timeout_ms":{"type":"integer"}},"required":["command"],"additionalProperties":false})";

// A joined name may be longer than a name may be: then its end is a hash of the whole.
std::string joined_name(std::string_view space, std::string_view name) {
  if (space.empty()) return std::string(name);
  std::string out(space);
  if (!space.ends_with(kSeparator)) out += kSeparator;
  out += name;
  if (out.size() <= limits::kToolNameBytes) return out;
  const std::string hash = fmt::format("_{:016x}", xxh3_128(out).low);
  return out.substr(0, limits::kToolNameBytes - hash.size()) + hash;
}

Tool local_shell() {
  Tool tool;
  tool.name = kLocalShell;
  tool.description = "Runs a program on the user's machine and returns what it wrote.";
  tool.parameters = kLocalShellParameters;
  return tool;
}

// None without parameters, or when a server of the vendor is to search.
Result<std::optional<Tool>> read_tool_search(const Fields& entry) {
  std::string execution;
  TRY_OK(entry.text("execution", execution));
  if (execution != "client" || entry.find("parameters") == nullptr) return std::optional<Tool>();
  Tool tool;
  tool.name = kToolSearch;
  TRY_OK(entry.text("description", tool.description));
  TRY_OK(read_parameters(entry, "parameters", tool));
  return std::optional<Tool>(std::move(tool));
}

class Reader {
 public:
  explicit Reader(bool lenient) : lenient_(lenient) {}

  Status list(const Json& list, const std::string& path, std::string_view space) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      Status read = entry(list[i], indexed(path, i), space);
      if (!read && !lenient_) return read;
    }
    return {};
  }

  ResponsesTools take() {
    for (std::size_t i = 0; i < out_.tools.size(); ++i) out_.tools[i].deferred = wants_search_[i] && has_search_;
    return std::move(out_);
  }

 private:
  Status entry(const Json& value, std::string path, std::string_view space) {
    TRY(const Fields fields, Fields::of(value, std::move(path)));
    std::string type = "function";
    TRY_OK(fields.text("type", type));
    if (type == "namespace") return space.empty() ? read_namespace(fields) : Status();
    if (type == "function") {
      TRY(Tool tool, read_function_tool(fields));
      return add(std::move(tool), CallKind::function, space, fields);
    }
    if (type == "custom") {
      TRY(Tool tool, read_custom_tool(fields));
      return add(std::move(tool), CallKind::custom, space, fields);
    }
    if (type == kLocalShell) return add(local_shell(), CallKind::local_shell, "", fields);
    if (type != kToolSearch) return {};
    TRY(std::optional<Tool> search, read_tool_search(fields));
    if (!search) return {};
    has_search_ = true;
    return add(std::move(*search), CallKind::tool_search, "", fields);
  }

  // The namespace's own words stand with its first tool: no template knows a place for them.
  Status read_namespace(const Fields& fields) {
    TRY(const std::string name, fields.required_text("name"));
    if (name.empty()) return fail(Code::invalid, "a namespace's name must not be empty", fields.path_of("name"));
    std::string description;
    TRY_OK(fields.text("description", description));
    TRY(const Json* tools, fields.list("tools"));
    if (tools == nullptr) return fields.missing("tools", "a list of tools");
    const std::size_t first = out_.tools.size();
    TRY_OK(list(*tools, fields.path_of("tools"), name));
    if (description.empty() || first == out_.tools.size()) return {};
    std::string& words = out_.tools[first].description;
    words = fmt::format("{}{}{}", description, words.empty() ? "" : "\n", words);
    return {};
  }

  Status add(Tool tool, CallKind kind, std::string_view space, const Fields& fields) {
    if (out_.tools.size() == limits::kTools)
      return fail(Code::too_large, fmt::format("more than {} tools", limits::kTools), fields.path());
    const std::string path = fields.path_of(fields.find("name") != nullptr ? "name" : "type");
    if (!std::all_of(space.begin(), space.end(), is_tool_name_char))
      return fail(Code::invalid,
                  fmt::format("a namespace's name is made of letters, digits and _.:/-, found {}", shown(space)), path);
    CallName name{kind, tool.name, std::string(space)};
    if (!seen_.emplace(name.space, name.name).second)
      return fail(Code::invalid, fmt::format("two tools are named {}", shown(name.name)), path);
    const std::string joined = joined_name(space, tool.name);
    tool.name = joined;
    for (int i = 2; out_.names.contains(tool.name); ++i) tool.name = fmt::format("{}_{}", joined, i);
    out_.names.emplace(tool.name, std::move(name));
    bool wants_search = false;
    TRY_OK(fields.flag("defer_loading", wants_search));
    wants_search_.push_back(wants_search);
    out_.tools.push_back(std::move(tool));
    return {};
  }

  const bool lenient_;
  ResponsesTools out_;
  std::set<std::pair<std::string, std::string>> seen_;  // namespace, name
  std::vector<bool> wants_search_;                      // by tool: it is loaded by a search
  bool has_search_ = false;
};

// Puts the prompt's name in place of the client's.
void use_prompt_name(Json& choice, const ResponsesTools& tools) {
  if (!choice.is_object()) return;
  const auto type = choice.find("type");
  if (type != choice.end() && (*type == kToolSearch || *type == kLocalShell)) {
    choice["name"] = type->get<std::string>();
    choice["type"] = "function";
  }
  const auto name = choice.find("name");
  const auto space = choice.find("namespace");
  if (name != choice.end() && name->is_string() && space != choice.end() && space->is_string())
    *name = prompt_name(tools, {CallKind::function, name->get<std::string>(), space->get<std::string>()});
}

// {"type":"allowed_tools","tools":[...]}, also as chat completions nest it.
void use_prompt_names(Json& choice, const ResponsesTools& tools) {
  use_prompt_name(choice, tools);
  if (!choice.is_object()) return;
  Json* allowed = &choice;
  if (const auto nested = choice.find("allowed_tools"); nested != choice.end() && nested->is_object())
    allowed = &*nested;
  const auto list = allowed->find("tools");
  if (list == allowed->end() || !list->is_array()) return;
  for (Json& one : *list) use_prompt_name(one, tools);
}

}  // namespace

namespace {

Result<OfferedResponsesTools> read_offered(const Json& list, const std::string& path) {
  Reader reader(/*lenient=*/false);
  TRY_OK(reader.list(list, path, ""));
  return OfferedResponsesTools{reader.take(), dump_json(list)};
}

}  // namespace

Result<OfferedResponsesTools> read_responses_tools(const RequestBody& body) {
  if (const auto text = body.list_text("tools"); !text.empty()) {
    if (const auto known = body.memory()->find<OfferedResponsesTools>(text)) return *known;
    TRY(const Json list, parse_mended(text));
    TRY(OfferedResponsesTools offered, read_offered(list, "tools"));
    const std::size_t bytes = 3 * bytes_of(offered.tools.tools) + offered.echo.size();  // names are there twice more
    return *body.memory()->keep(text, std::move(offered), bytes);
  }
  const Fields fields = body.fields();
  TRY(const Json* list, fields.list("tools"));
  return list == nullptr ? OfferedResponsesTools() : read_offered(*list, fields.path_of("tools"));
}

ResponsesTools read_loaded_tools(const Json& list) {
  Reader reader(/*lenient=*/true);
  if (list.is_array()) (void)reader.list(list, "tools", "");
  return reader.take();
}

void add_deferred(ResponsesTools& to, const ResponsesTools& loaded) {
  for (const Tool& tool : loaded.tools) {
    if (to.tools.size() == limits::kTools) return;
    if (!to.names.emplace(tool.name, loaded.names.at(tool.name)).second) continue;
    to.tools.push_back(tool);
    to.tools.back().deferred = true;
  }
}

std::string shown_tools(const ResponsesTools& loaded) {
  std::string out;
  for (const Tool& tool : loaded.tools) {
    const Json line = {{"name", tool.name},
                       {"description", tool.description},
                       {"parameters", parse_json(tool.parameters).value_or(Json::object())}};
    if (!out.empty()) out += '\n';
    out += dump_json(line);
  }
  return out;
}

std::string prompt_name(const ResponsesTools& tools, const CallName& name) {
  std::string joined = joined_name(name.space, name.name);
  const auto same = [&](const CallName& one) { return one.name == name.name && one.space == name.space; };
  const auto found = tools.names.find(joined);
  if (found == tools.names.end() || same(found->second)) return joined;
  for (const auto& [prompt, one] : tools.names)
    if (same(one)) return prompt;
  return joined;
}

Result<ToolChoice> read_responses_tool_choice(const Fields& body, const ResponsesTools& tools) {
  const Json* choice = body.find("tool_choice");
  if (choice == nullptr) return ToolChoice{};
  Json holder = {{"tool_choice", *choice}};
  use_prompt_names(holder["tool_choice"], tools);
  TRY(const Fields fields, Fields::of(holder, body.path()));
  return read_tool_choice(fields, tools.tools);
}

}  // namespace kvern::api
