#include "chat/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

namespace kvern::chat {
namespace {

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

bool is_nine(std::string_view id) {
  constexpr std::size_t kNine = 9;
  return id.size() == kNine && std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
}

// The object in a text, also when a client wrote the object's text as a JSON string once more.
Result<Json> read_object(std::string_view text) {
  Result<Json> parsed = parse_json(text);
  if (parsed && parsed->is_string()) {
    Result<Json> inner = parse_json(parsed->get_ref<const std::string&>());
    if (inner && inner->is_object()) return inner;
  }
  if (parsed && !parsed->is_object()) return fail(Code::invalid, "the arguments are no object");
  return parsed;
}

class IdWriter {
 public:
  IdWriter(Adaptations adaptations, const Dialect& dialect) : adaptations_(adaptations), dialect_(dialect) {}

  MessageIds ids(const Message& message) {
    MessageIds ids;
    for (const ToolCall& call : message.tool_calls) ids.calls.push_back(id_of_call(call));
    if (!message.tool_call_id.empty()) ids.answered = id_of_result(message.tool_call_id);
    return ids;
  }

 private:
  std::string id_of_call(const ToolCall& call) {
    const bool has_id = dialect_.id_place != IdPlace::none;
    std::string id = has_id && !call.written_id.empty() ? call.written_id : family_id(dialect_, call, calls_);
    ++calls_;
    return ids_[call.id] = accepted(std::move(id));
  }

  std::string id_of_result(const std::string& given) {
    const auto known = ids_.find(given);
    return known != ids_.end() ? known->second : ids_[given] = accepted(given);
  }

  std::string accepted(std::string id) {
    if (!adaptations_.has(Adaptation::nine_ids) || is_nine(id)) return id;
    const auto [entry, _] = numbers_.try_emplace(std::move(id), numbers_.size());
    return fmt::format("call{:05}", entry->second % 100'000);
  }

  const Adaptations adaptations_;
  const Dialect& dialect_;
  std::size_t calls_ = 0;
  std::unordered_map<std::string, std::string> ids_;      // the client's: the template's, of the latest call
  std::unordered_map<std::string, std::size_t> numbers_;  // of ids that were not nine letters and digits
};

Json arguments_json(const std::string& text, ArgumentForm form, Adaptations adaptations) {
  if (is_blank(text)) return form == ArgumentForm::object ? Json(Json::object()) : Json("{}");
  Result<Json> object = read_object(text);
  if (!object && adaptations.has(Adaptation::object_arguments)) object = Json{{"arguments", text}};
  if (!object || (form == ArgumentForm::text && parse_json(text))) return text;
  if (form == ArgumentForm::text) return dump_json(*object);
  return std::move(*object);
}

}  // namespace

std::vector<MessageIds> ids_of(std::span<const Message> messages, Adaptations adaptations, const Dialect& dialect) {
  IdWriter writer(adaptations, dialect);
  std::vector<MessageIds> all;
  all.reserve(messages.size());
  for (const Message& message : messages) all.push_back(writer.ids(message));
  return all;
}

Json message_json(const Message& message, const MessageIds& ids, const JsonForm& form, Adaptations adaptations) {
  Json json = {{"role", to_string(message.role)}, {"content", message.content}};
  if (!message.reasoning.empty())
    for (const std::string_view name : form.reasoning_names) json[std::string(name)] = message.reasoning;
  if (!message.tool_calls.empty()) {
    Json calls = Json::array();
    for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
      const ToolCall& call = message.tool_calls[i];
      Json function = {{"name", call.name}, {"arguments", arguments_json(call.arguments, form.arguments, adaptations)}};
      calls.push_back({{"id", ids.calls[i]}, {"type", "function"}, {"function", std::move(function)}});
    }
    json["tool_calls"] = std::move(calls);
  }
  if (!message.tool_call_id.empty()) json["tool_call_id"] = ids.answered;
  if (!message.name.empty()) json["name"] = message.name;
  return json;
}

Json messages_json(std::span<const Message> messages, const JsonForm& form, Adaptations adaptations,
                   const Dialect& dialect) {
  const std::vector<MessageIds> ids = ids_of(messages, adaptations, dialect);
  Json result = Json::array();
  for (std::size_t i = 0; i < messages.size(); ++i)
    result.push_back(message_json(messages[i], ids[i], form, adaptations));
  return result;
}

std::vector<Message> with_described_tools(std::vector<Message> messages, std::span<const Tool> tools,
                                          const Dialect& dialect) {
  if (tools.empty()) return messages;
  if (messages.empty() || messages.front().role != Role::system) {
    Message system;
    system.role = Role::system;
    messages.insert(messages.begin(), std::move(system));
  }
  std::string& text = messages.front().content;
  if (!text.empty()) text += "\n\n";
  text += describe_tools(dialect, tools);
  return messages;
}

Json tools_json(std::span<const Tool> tools) {
  if (tools.empty()) return nullptr;
  Json result = Json::array();
  for (const Tool& tool : tools) {
    Json function = {{"name", tool.name}};
    if (!tool.description.empty()) function["description"] = tool.description;
    Result<Json> parameters = parse_json(tool.parameters);
    const bool given = parameters && parameters->is_object() && !parameters->empty();
    // None are an object without properties: templates go through those.
    function["parameters"] = given ? std::move(*parameters) : Json{{"type", "object"}, {"properties", Json::object()}};
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
