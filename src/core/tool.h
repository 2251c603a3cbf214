// Tools a client offers and how it lets the model choose among them.
#pragma once

#include <string>
#include <vector>

namespace kvern {

constexpr bool is_tool_name_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == ':' || c == '/' || c == '-';
}

struct Tool {
  std::string name;  // checked: 1..kToolNameBytes of is_tool_name_char
  std::string description;
  std::string parameters;  // JSON Schema text in the client's key order; "{}" when none was given
};

enum class ToolUse { automatic, required, none };

struct ToolChoice {
  ToolUse use = ToolUse::automatic;
  std::string name;  // with required: only this tool. Checked to be one of the tools.
};

}  // namespace kvern
