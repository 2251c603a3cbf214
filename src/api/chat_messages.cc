#include "api/chat_messages.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/custom_input.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

Result<Role> read_role(const Fields& message) {
  TRY(const std::string role, message.required_text("role"));
  if (role == "system" || role == "developer") return Role::system;
  if (role == "user") return Role::user;
  if (role == "assistant") return Role::assistant;
  if (role == "tool" || role == "function") return Role::tool;
  return fail(
      Code::invalid,
      fmt::format("expected \"system\", \"developer\", \"user\", \"assistant\" or \"tool\", found {}", shown(role)),
      message.path_of("role"));
}

bool is_text_part(std::string_view type) {
  return type == "text" || type == "input_text" || type == "output_text" || type == "refusal";
}

// What a part of another type holds, for the message that refuses it; "" when unknown.
std::string_view medium_of(std::string_view type) {
  if (type == "image_url" || type == "input_image" || type == "image") return "images";
  if (type == "input_audio" || type == "audio_url" || type == "audio") return "audio clips";
  if (type == "video_url" || type == "input_video" || type == "video") return "videos";
  if (type == "file" || type == "input_file" || type == "document") return "files";
  return "";
}

Status append_part(const Json& value, std::string path, std::string& out) {
  TRY(const Fields part, Fields::of(value, std::move(path)));
  TRY(const std::string type, part.required_text("type"));
  if (is_text_part(type)) {
    TRY(const std::string text, part.required_text(type == "refusal" ? "refusal" : "text"));
    out += text;
    return {};
  }
  if (const std::string_view medium = medium_of(type); !medium.empty())
    return fail(Code::invalid, fmt::format("{} are not supported by this model", medium), part.path());
  return fail(Code::invalid, fmt::format("expected \"text\", found {}", shown(type)), part.path_of("type"));
}

Status read_content(const Fields& message, Message& out) {
  const Json* content = message.find("content");
  if (content == nullptr) {
    if (out.role == Role::assistant) return message.text("refusal", out.content);
    return message.missing("content", "a string or a list of parts");
  }
  if (content->is_string()) return message.text("content", out.content);
  const std::string path = message.path_of("content");
  if (!content->is_array()) return mismatch(path, "a string or a list of parts", *content);
  if (content->size() > limits::kContentParts)
    return fail(Code::too_large, fmt::format("more than {} parts in one message", limits::kContentParts), path);
  for (std::size_t i = 0; i < content->size(); ++i) TRY_OK(append_part((*content)[i], indexed(path, i), out.content));
  return {};
}

// Arguments are kept as the client wrote them: a call cut off by a token limit must not make every
// later request of its session fail.
Result<ToolCall> read_function(const Fields& function) {
  ToolCall call;
  TRY(call.name, function.required_text("name"));
  const Json* arguments = function.find("arguments");
  if (arguments == nullptr) {
    call.arguments = "{}";
  } else if (arguments->is_object()) {
    call.arguments = dump_json(*arguments);
  } else {
    TRY_OK(function.text("arguments", call.arguments));
  }
  return call;
}

Result<ToolCall> read_custom(const Fields& custom) {
  ToolCall call;
  TRY(call.name, custom.required_text("name"));
  std::string input;
  TRY_OK(custom.text("input", input));
  call.arguments = custom_arguments(input);
  return call;
}

Result<ToolCall> read_tool_call(const Json& value, std::string path) {
  TRY(const Fields fields, Fields::of(value, std::move(path)));
  std::string type = "function";
  TRY_OK(fields.text("type", type));
  if (type != "function" && type != "custom")
    return fail(Code::invalid, fmt::format("expected \"function\" or \"custom\", found {}", shown(type)),
                fields.path_of("type"));
  TRY(const Fields callee, fields.required_object(type));
  TRY(ToolCall call, type == "custom" ? read_custom(callee) : read_function(callee));
  TRY_OK(fields.text("id", call.id));
  return call;
}

Status read_tool_calls(const Fields& message, std::vector<ToolCall>& out) {
  TRY(const Json* list, message.list("tool_calls"));
  if (list == nullptr) {
    TRY(const std::optional<Fields> legacy, message.object("function_call"));
    if (!legacy) return {};
    TRY(out.emplace_back(), read_function(*legacy));
    return {};
  }
  const std::string path = message.path_of("tool_calls");
  if (list->size() > limits::kContentParts)
    return fail(Code::too_large, fmt::format("more than {} calls in one message", limits::kContentParts), path);
  out.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    TRY(out.emplace_back(), read_tool_call((*list)[i], indexed(path, i)));
  }
  return {};
}

// llama-server, vLLM and DeepSeek say reasoning_content, OpenRouter and mlx-lm say reasoning.
Status read_reasoning(const Fields& message, std::string& out) {
  TRY_OK(message.text("reasoning", out));
  return message.text("reasoning_content", out);
}

Result<Message> read_message(const Json& value, std::string path) {
  TRY(const Fields fields, Fields::of(value, std::move(path)));
  Message message;
  TRY(message.role, read_role(fields));
  TRY_OK(read_content(fields, message));
  if (message.role == Role::assistant) {
    TRY_OK(read_reasoning(fields, message.reasoning));
    TRY_OK(read_tool_calls(fields, message.tool_calls));
  }
  if (message.role == Role::tool) {
    TRY_OK(fields.text("tool_call_id", message.tool_call_id));
    TRY_OK(fields.text("name", message.name));
  }
  return message;
}

}  // namespace

namespace {

struct ChatMessage {
  Message message;
};

// A message that is still text.
Result<Message> read_message(std::string_view text, std::string path, TextMemory& memory) {
  if (const auto known = memory.find<ChatMessage>(text)) return known->message;
  TRY(const Json json, parse_mended(text));
  TRY(Message message, read_message(json, std::move(path)));
  return memory.keep(text, ChatMessage{message}, bytes_of(message))->message;
}

Result<std::vector<Message>> read_conversation(const RequestBody& body, std::string_view name) {
  const std::span<const std::string_view> texts = body.item_texts(name);
  if (texts.size() > limits::kMessages) return fail(Code::too_large, "too many messages", std::string(name));
  std::vector<Message> messages;
  messages.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    TRY(messages.emplace_back(), read_message(texts[i], indexed(name, i), *body.memory()));
  }
  return messages;
}

Result<std::vector<Message>> read_conversation(const Json& value, const std::string& path) {
  if (!value.is_array()) return mismatch(path, "a list of messages", value);
  const Json* list = &value;
  if (list->empty()) return fail(Code::invalid, "expected at least one message, found an empty list", path);
  if (list->size() > limits::kMessages)
    return fail(Code::too_large, fmt::format("more than {} messages", limits::kMessages), path);
  std::vector<Message> messages;
  messages.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    TRY(Message message, read_message((*list)[i], indexed(path, i)));
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace

Result<std::vector<std::vector<Message>>> read_conversations(const RequestBody& body) {
  std::vector<std::vector<Message>> conversations;
  if (!body.item_texts("messages").empty()) {
    TRY(conversations.emplace_back(), read_conversation(body, "messages"));
    return conversations;
  }
  const Fields fields = body.fields();
  TRY(const Json* list, fields.list("messages"));
  if (list == nullptr) return fields.missing("messages", "a list of messages");
  const std::string path = fields.path_of("messages");
  if (list->empty() || !list->front().is_array()) {
    TRY(conversations.emplace_back(), read_conversation(*list, path));
    return conversations;
  }
  if (list->size() > limits::kPrompts)
    return fail(Code::too_large, fmt::format("more than {} conversations", limits::kPrompts), path);
  for (std::size_t i = 0; i < list->size(); ++i) {
    TRY(conversations.emplace_back(), read_conversation((*list)[i], indexed(path, i)));
  }
  return conversations;
}

}  // namespace kvern::api
