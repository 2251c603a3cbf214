#include "api/anthropic_content.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/anthropic_blocks.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

constexpr std::string_view kErrorMark = "[error] ";
// How Claude Code sends back a call whose arguments it could not parse.
constexpr const char* kUnparsedInput = "__unparsedToolInput";

Result<Role> read_role(const Fields& message) {
  TRY(const std::string role, message.required_text("role"));
  if (role == "user") return Role::user;
  if (role == "assistant") return Role::assistant;
  if (role == "system") return Role::system;
  return fail(Code::invalid, fmt::format("expected \"user\", \"assistant\" or \"system\", found {}", shown(role)),
              message.path_of("role"));
}

// The text the model wrote where the client kept it, so that it is recognised as the call it was.
const std::string* unparsed(const Fields& block, const Json& input) {
  if (const Json* ours = block.find("unparsed_input")) return ours->get_ptr<const std::string*>();
  if (!input.is_object() || input.size() != 1) return nullptr;
  const auto holder = input.find(kUnparsedInput);
  if (holder == input.end() || !holder->is_object()) return nullptr;
  const auto raw = holder->find("raw");
  return raw == holder->end() ? nullptr : raw->get_ptr<const std::string*>();
}

Result<ToolCall> read_call(const Fields& block) {
  ToolCall call;
  TRY_OK(block.text("id", call.id));
  TRY(call.name, block.required_text("name"));
  call.arguments = "{}";
  const Json* input = block.find("input");
  if (input == nullptr) return call;
  const std::string* raw = unparsed(block, *input);
  call.arguments = raw != nullptr ? *raw : dump_json(*input);
  return call;
}

Result<Message> read_result(const Fields& block, OfferedTools& tools) {
  Message result;
  result.role = Role::tool;
  TRY_OK(block.text("tool_use_id", result.tool_call_id));
  if (block.find("content") != nullptr) {
    TRY(result.content, read_text(block, "content", tools));
  }
  bool failed = false;
  TRY_OK(block.flag("is_error", failed));
  if (failed) result.content.insert(0, kErrorMark);
  return result;
}

// Thinking that Anthropic encrypted says nothing here.
Status read_assistant_block(const Fields& block, const std::string& type, OfferedTools& tools, Message& out) {
  if (type == "thinking") {
    std::string thinking;
    TRY_OK(block.text("thinking", thinking));
    out.reasoning += thinking;
    return {};
  }
  if (type == "redacted_thinking") return {};
  if (type == "tool_use") {
    TRY(out.tool_calls.emplace_back(), read_call(block));
    return {};
  }
  TRY(const std::string text, text_of_block(block, type, tools));
  out.content += text;
  return {};
}

Result<Message> read_assistant(const Fields& message, OfferedTools& tools) {
  Message out;
  out.role = Role::assistant;
  if (message.find("content") == nullptr) return out;  // a turn that said nothing
  TRY(const std::vector<Block> blocks, blocks_of(message, "content"));
  for (const Block& block : blocks) {
    if (block.text != nullptr) {
      out.content += *block.text;
      continue;
    }
    TRY(const Fields fields, Fields::of(*block.json, block.path));
    TRY(const std::string type, fields.required_text("type"));
    TRY_OK(read_assistant_block(fields, type, tools, out));
  }
  return out;
}

// Results stand right behind the calls they answer, whatever order the blocks had.
Status read_user(const Fields& message, OfferedTools& tools, std::vector<Message>& out) {
  TRY(const std::vector<Block> blocks, blocks_of(message, "content"));
  std::vector<Block> rest;
  for (const Block& block : blocks) {
    const bool is_result = block.json != nullptr && block.json->is_object() && block.json->contains("type") &&
                           block.json->at("type") == "tool_result";
    if (!is_result) {
      rest.push_back(block);
      continue;
    }
    TRY(const Fields fields, Fields::of(*block.json, block.path));
    TRY(out.emplace_back(), read_result(fields, tools));
  }
  if (rest.empty() && !blocks.empty()) return {};
  TRY(std::string text, text_of_blocks(rest, tools));
  out.push_back(text_message(Role::user, std::move(text)));
  return {};
}

Status read_message(const Json& value, std::string path, OfferedTools& tools, std::vector<Message>& out) {
  TRY(const Fields message, Fields::of(value, std::move(path)));
  TRY(const Role role, read_role(message));
  if (role == Role::user) return read_user(message, tools, out);
  if (role == Role::assistant) {
    TRY(out.emplace_back(), read_assistant(message, tools));
    return {};
  }
  TRY(std::string text, read_text(message, "content", tools));
  out.push_back(text_message(Role::system, std::move(text)));
  return {};
}

struct AnthropicMessage {
  std::vector<Message> messages;
};

struct AnthropicSystem {
  std::string text;
};

// One that is still text. What shows a tool says something else in another conversation.
Status read_message(std::string_view text, std::string path, OfferedTools& tools, TextMemory& memory,
                    std::vector<Message>& out) {
  auto known = memory.find<AnthropicMessage>(text);
  if (!known) {
    const std::size_t shown_before = tools.times_shown();
    AnthropicMessage made;
    TRY(const Json json, parse_mended(text));
    TRY_OK(read_message(json, std::move(path), tools, made.messages));
    if (tools.times_shown() != shown_before) {
      std::move(made.messages.begin(), made.messages.end(), std::back_inserter(out));
      return {};
    }
    const std::size_t bytes = bytes_of(made.messages);
    known = memory.keep(text, std::move(made), bytes);
  }
  out.insert(out.end(), known->messages.begin(), known->messages.end());
  return {};
}

// Likewise.
Result<std::string> read_system(std::string_view text, OfferedTools& tools, TextMemory& memory) {
  if (const auto known = memory.find<AnthropicSystem>(text)) return known->text;
  const std::size_t shown_before = tools.times_shown();
  Json holder = Json::object();
  TRY(holder["system"], parse_mended(text));
  TRY(const Fields fields, Fields::of(holder, ""));
  TRY(std::string system, read_text(fields, "system", tools));
  if (tools.times_shown() == shown_before) memory.keep(text, AnthropicSystem{system}, system.size());
  return system;
}

Status read_systems(const RequestBody& body, OfferedTools& tools, std::vector<Message>& out) {
  std::string system;
  if (const auto text = body.list_text("system"); !text.empty()) {
    TRY(system, read_system(text, tools, *body.memory()));
  } else if (body.fields().find("system") != nullptr) {
    TRY(system, read_text(body.fields(), "system", tools));
  }
  if (!system.empty()) out.push_back(text_message(Role::system, std::move(system)));
  return {};
}

Status check_count(std::size_t messages, const std::string& path) {
  if (messages > limits::kMessages)
    return fail(Code::too_large, fmt::format("more than {} messages", limits::kMessages), path);
  return {};
}

}  // namespace

Result<std::vector<Message>> read_anthropic_messages(const RequestBody& body, OfferedTools& tools) {
  std::vector<Message> messages;
  TRY_OK(read_systems(body, tools, messages));
  if (const auto texts = body.item_texts("messages"); !texts.empty()) {
    TRY_OK(check_count(texts.size(), "messages"));
    for (std::size_t i = 0; i < texts.size(); ++i)
      TRY_OK(read_message(texts[i], indexed("messages", i), tools, *body.memory(), messages));
    return messages;
  }
  const Fields fields = body.fields();
  TRY(const Json* list, fields.list("messages"));
  if (list == nullptr) return fields.missing("messages", "a list of messages");
  const std::string path = fields.path_of("messages");
  if (list->empty()) return fail(Code::invalid, "expected at least one message, found an empty list", path);
  TRY_OK(check_count(list->size(), path));
  for (std::size_t i = 0; i < list->size(); ++i) TRY_OK(read_message((*list)[i], indexed(path, i), tools, messages));
  return messages;
}

}  // namespace kvern::api
