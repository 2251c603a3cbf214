#include "api/anthropic_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include "api/chat_tools.h"
#include "base/json_text.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

// Tools that Anthropic's models were trained on and that clients name without a schema. The models here
// were not, so they are told.
struct KnownTool {
  std::string_view type;  // without the date behind it
  std::string_view description;
  std::string_view parameters;
};

constexpr std::array kKnownTools = {
    KnownTool{"bash_", "Runs a command in a persistent bash session and returns its output.",
              R"({"type":"object","properties":{"command":{"type":"string","description":"The command to run"},)"
              R"("restart":{"type":"boolean","description":"True restarts the session instead"}}})"},
    KnownTool{
        "text_editor_", "Views, creates and edits text files.",
        R"({"type":"object","properties":{)"
        R"("command":{"type":"string","enum":["view","create","str_replace","insert","undo_edit"]},)"
        R"("path":{"type":"string","description":"Absolute path of a file or directory"},)"
        R"("file_text":{"type":"string","description":"With create: the whole content"},)"
        R"("old_str":{"type":"string","description":"With str_replace: the text to replace, unique in the file"},)"
        R"("new_str":{"type":"string","description":"With str_replace: the new text"},)"
        R"("insert_line":{"type":"integer","description":"With insert: the line after which to insert"},)"
        R"("insert_text":{"type":"string","description":"With insert: the text"},)"
        R"("view_range":{"type":"array","items":{"type":"integer"},"description":"With view: first and last line"}},)"
        R"("required":["command","path"]})"},
    KnownTool{"memory_", "Reads and keeps notes in files below /memories.",
              R"({"type":"object","properties":{)"
              R"("command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},)"
              R"("path":{"type":"string"},"file_text":{"type":"string"},"old_str":{"type":"string"},)"
              R"("new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},)"
              R"("old_path":{"type":"string"},"new_path":{"type":"string"}},"required":["command"]})"},
    KnownTool{
        "computer_", "Acts on the screen, the mouse and the keyboard of a computer.",
        R"({"type":"object","properties":{"action":{"type":"string","description":"screenshot, left_click, type, key, ..."},)"
        R"("coordinate":{"type":"array","items":{"type":"integer"},"description":"x and y in pixels"},)"
        R"("text":{"type":"string","description":"What to type, or the key to press"}},"required":["action"]})"},
};

const KnownTool* known_tool(std::string_view type) {
  const auto found = std::find_if(kKnownTools.begin(), kKnownTools.end(),
                                  [&](const KnownTool& known) { return type.starts_with(known.type); });
  return found == kKnownTools.end() ? nullptr : &*found;
}

// A toolset is a server's, whatever its name begins with.
bool is_toolset(std::string_view type) { return type.find("toolset") != std::string_view::npos; }

// The tool of an entry; none when it is served elsewhere.
Result<std::optional<Tool>> read_tool(const Fields& entry, std::string_view type) {
  // OpenAI's form is a mistake to be told, not a tool of somebody's servers.
  const bool given = entry.find("input_schema") != nullptr || type == "function";
  const KnownTool* known = given || is_toolset(type) ? nullptr : known_tool(type);
  if (!given && known == nullptr && type != "custom") return std::optional<Tool>();
  Tool tool;
  TRY(tool.name, entry.required_text("name"));
  TRY_OK(check_tool_name(tool.name, entry.path_of("name")));
  TRY_OK(entry.text("description", tool.description));
  if (known != nullptr) {
    if (tool.description.empty()) tool.description = known->description;
    tool.parameters = known->parameters;
    return std::optional<Tool>(std::move(tool));
  }
  if (!entry.json().contains("input_schema")) return entry.missing("input_schema", "an object");
  TRY_OK(read_parameters(entry, "input_schema", tool));
  return std::optional<Tool>(std::move(tool));
}

std::string definition_of(const Tool& tool) {
  std::string out = "<function>{\"description\":";
  append_json_string(out, tool.description);
  out += ",\"name\":";
  append_json_string(out, tool.name);
  out += ",\"parameters\":" + tool.parameters + "}</function>";
  return out;
}

Status choose_any(const OfferedTools& offered, const std::string& path, ChatRequest& request) {
  if (!request.tools.empty()) {
    request.tool_choice.use = ToolUse::required;
  } else if (!offered.any_served_elsewhere()) {
    return fail(Code::invalid, "\"any\" needs at least one tool in tools", path);
  }
  return {};
}

Status choose_named(const Fields& choice, const OfferedTools& offered, ChatRequest& request) {
  TRY(std::string name, choice.required_text("name"));
  const bool callable =
      std::any_of(request.tools.begin(), request.tools.end(), [&](const Tool& tool) { return tool.name == name; });
  if (callable) {
    request.tool_choice = {ToolUse::required, std::move(name), {}};
  } else if (offered.is_served_elsewhere(name)) {
    request.tool_choice.use = ToolUse::none;
  } else {
    return fail(Code::invalid, fmt::format("no tool that may be called is named {}", shown(name)),
                choice.path_of("name"));
  }
  return {};
}

}  // namespace

Status OfferedTools::add(const Fields& entry) {
  std::string type = "custom";
  TRY_OK(entry.text("type", type));
  TRY(std::optional<Tool> tool, read_tool(entry, type));
  if (!tool) {
    std::string name = type;
    TRY_OK(entry.text("name", name));
    elsewhere_.push_back(std::move(name));
    return {};
  }
  TRY_OK(entry.flag("defer_loading", tool->deferred));
  const bool shown = !tool->deferred;
  offers_.push_back({std::move(*tool), shown});
  return {};
}

Result<OfferedTools> OfferedTools::read(const RequestBody& body) {
  if (const auto text = body.list_text("tools"); !text.empty()) {
    if (const auto known = body.memory()->find<OfferedTools>(text)) return *known;
    TRY(const Json list, parse_mended(text));
    TRY(OfferedTools offered, read(list, "tools"));
    std::size_t bytes = 0;
    for (const Offer& offer : offered.offers_) bytes += bytes_of(offer.tool);
    for (const std::string& name : offered.elsewhere_) bytes += sizeof name + name.size();
    return *body.memory()->keep(text, std::move(offered), bytes);
  }
  const Fields fields = body.fields();
  TRY(const Json* list, fields.list("tools"));
  return list == nullptr ? OfferedTools() : read(*list, fields.path_of("tools"));
}

Result<OfferedTools> OfferedTools::read(const Json& list, const std::string& path) {
  OfferedTools offered;
  if (list.size() > limits::kTools)
    return fail(Code::too_large, fmt::format("more than {} tools", limits::kTools), path);
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    TRY(const Fields entry, Fields::of(list[i], indexed(path, i)));
    const std::size_t before = offered.offers_.size();
    TRY_OK(offered.add(entry));
    if (offered.offers_.size() == before) continue;
    const std::string& name = offered.offers_.back().tool.name;
    if (!names.insert(name).second)
      return fail(Code::invalid, fmt::format("two tools are named {}", shown(name)), entry.path_of("name"));
  }
  return offered;
}

std::string OfferedTools::show(std::string_view name) {
  ++times_shown_;
  const auto offer =
      std::find_if(offers_.begin(), offers_.end(), [&](const Offer& one) { return one.tool.name == name; });
  if (offer == offers_.end()) return {};
  if (offer->shown) return fmt::format("[the tool {} is defined above]", name);
  offer->shown = true;
  return definition_of(offer->tool);
}

std::vector<Tool> OfferedTools::callable() const {
  std::vector<Tool> tools;
  for (const Offer& offer : offers_)
    if (offer.shown) tools.push_back(offer.tool);
  return tools;
}

bool OfferedTools::is_served_elsewhere(std::string_view name) const {
  return std::find(elsewhere_.begin(), elsewhere_.end(), name) != elsewhere_.end();
}

Status read_anthropic_tool_choice(const Fields& body, const OfferedTools& offered, ChatRequest& request) {
  TRY(const std::optional<Fields> choice, body.object("tool_choice"));
  if (!choice) return {};
  bool one_call = false;
  TRY_OK(choice->flag("disable_parallel_tool_use", one_call));
  request.parallel_tool_calls = !one_call;
  TRY(const std::string type, choice->required_text("type"));
  if (type == "auto") return {};
  if (type == "none") {
    request.tool_choice.use = ToolUse::none;
    return {};
  }
  if (type == "any") return choose_any(offered, choice->path_of("type"), request);
  if (type == "tool") return choose_named(*choice, offered, request);
  return fail(Code::invalid, fmt::format("expected \"auto\", \"any\", \"tool\" or \"none\", found {}", shown(type)),
              choice->path_of("type"));
}

}  // namespace kvern::api
