// Tools a client offers and how it lets the model choose among them.
#pragma once

#include <string>
#include <vector>

namespace kvern {

struct Tool {
  std::string name;  // checked: 1..kToolNameBytes of [A-Za-z0-9_.:/-]
  std::string description;
  std::string parameters;  // JSON Schema text in the client's key order; "{}" when none was given
};

enum class ToolUse { automatic, required, none };

struct ToolChoice {
  ToolUse use = ToolUse::automatic;
  std::string name;  // with required: only this tool. Checked to be one of the tools.
};

}  // namespace kvern
