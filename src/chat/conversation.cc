#include "chat/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace kvern::chat {
namespace {

bool is_blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

Message text_message(Role role, std::string content) {
  Message message;
  message.role = role;
  message.content = std::move(content);
  return message;
}

void describe_in_system(std::vector<Message>& messages, std::string description) {
  const auto system =
      std::find_if(messages.begin(), messages.end(), [](const Message& m) { return m.role == Role::system; });
  if (system == messages.end()) {
    messages.insert(messages.begin(), text_message(Role::system, std::move(description)));
  } else {
    if (!system->content.empty()) system->content += "\n\n";
    system->content += description;
  }
}

Message with_written_calls(const Message& message, const Dialect& dialect) {
  Message result = message;
  if (!message.content.empty()) result.content += dialect.text_separator;
  result.content += render_calls(dialect, message.tool_calls);
  result.tool_calls.clear();
  return result;
}

std::string written_result(const Message& message, const Dialect& dialect) {
  return std::string(dialect.result_begin) + message.content + std::string(dialect.result_end);
}

class Writer {
 public:
  explicit Writer(Strictness strictness) : adapted_(strictness == Strictness::adapted) {}

  Json message(const Message& message) {
    Json json = {{"role", to_string(message.role)}, {"content", message.content}};
    if (!message.reasoning.empty()) json["reasoning_content"] = message.reasoning;
    if (!message.tool_calls.empty()) {
      Json calls = Json::array();
      for (const ToolCall& call : message.tool_calls) calls.push_back(tool_call(call));
      json["tool_calls"] = std::move(calls);
    }
    if (!message.tool_call_id.empty()) json["tool_call_id"] = id(message.tool_call_id);
    if (!message.name.empty()) json["name"] = message.name;
    return json;
  }

 private:
  Json tool_call(const ToolCall& call) {
    Json function = {{"name", call.name}, {"arguments", arguments(call.arguments)}};
    return {{"id", id(call.id)}, {"type", "function"}, {"function", std::move(function)}};
  }

  Json arguments(const std::string& text) const {
    if (is_blank(text)) return Json::object();
    Result<Json> parsed = parse_json(text);
    if (parsed && parsed->is_object()) return std::move(*parsed);
    if (adapted_) return {{"arguments", text}};
    return text;
  }

  std::string id(const std::string& given) {
    if (!adapted_) return given;
    const auto [entry, _] = ids_.try_emplace(given, ids_.size());
    return fmt::format("call{:05}", entry->second % 100'000);
  }

  const bool adapted_;
  std::map<std::string, std::size_t> ids_;
};

}  // namespace

std::vector<Message> without_tools(std::span<const Message> messages, std::span<const Tool> tools,
                                   const Dialect& dialect) {
  std::vector<Message> result;
  bool in_results = false;
  for (const Message& message : messages) {
    if (message.role == Role::tool) {
      if (in_results) {
        result.back().content += "\n" + written_result(message, dialect);
      } else {
        result.push_back(text_message(Role::user, written_result(message, dialect)));
      }
      in_results = true;
      continue;
    }
    in_results = false;
    result.push_back(message.tool_calls.empty() ? message : with_written_calls(message, dialect));
  }
  if (!tools.empty()) describe_in_system(result, describe_tools(dialect, tools));
  return result;
}

Json messages_json(std::span<const Message> messages, Strictness strictness) {
  Writer writer(strictness);
  Json result = Json::array();
  for (const Message& message : messages) result.push_back(writer.message(message));
  return result;
}

Json tools_json(std::span<const Tool> tools) {
  if (tools.empty()) return nullptr;
  Json result = Json::array();
  for (const Tool& tool : tools) {
    Json function = {{"name", tool.name}};
    if (!tool.description.empty()) function["description"] = tool.description;
    Result<Json> parameters = parse_json(tool.parameters);
    function["parameters"] = parameters ? std::move(*parameters) : Json::object();
    result.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return result;
}

Result<Json> extra_variables(const std::string& template_kwargs) {
  Json variables = {{"add_generation_prompt", true}};
  if (template_kwargs.empty()) return variables;
  const Result<Json> given = parse_json(template_kwargs);
  if (!given) return fail(Code::invalid, "chat_template_kwargs: " + given.error().message, "chat_template_kwargs");
  if (!given->is_object())
    return fail(Code::invalid, "chat_template_kwargs must be a JSON object", "chat_template_kwargs");
  for (const auto& [name, value] : given->items()) variables[name] = value;
  return variables;
}

}  // namespace kvern::chat
