// Canonical messages: what every wire format is parsed into and nothing after that doubts.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kvern {

enum class Role { system, user, assistant, tool };

constexpr const char* to_string(Role role) {
  switch (role) {
    case Role::system: return "system";
    case Role::user: return "user";
    case Role::assistant: return "assistant";
    case Role::tool: return "tool";
  }
  return "user";
}

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // as the client or the model wrote it; need not be valid JSON
  // The id in the model's own text, where its family writes ids there; empty when it does not, or when
  // the call did not come from here. What clients see is `id`.
  std::string written_id = {};

  bool operator==(const ToolCall&) const = default;
};

// A string and one text block are the same message: blocks are joined into content.
struct Message {
  Role role = Role::user;
  std::string content;
  std::string reasoning;             // assistant: what the client sent back, may be empty
  std::vector<ToolCall> tool_calls;  // assistant
  std::string tool_call_id;          // tool
  std::string name;                  // tool: the function's name when the client gives it

  bool operator==(const Message&) const = default;
};

inline Message text_message(Role role, std::string content) {
  Message message;
  message.role = role;
  message.content = std::move(content);
  return message;
}

}  // namespace kvern
