// Tools a client offers and how it lets the model choose among them.
#pragma once

#include <string>
#include <vector>

namespace kvern {

constexpr bool is_tool_name_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == ':' || c == '/' || c == '-';
}

// What a text must look like: a custom tool's input, or a guided answer.
enum class TextSyntax { any, lark, gbnf, regex };

struct TextRule {
  TextSyntax syntax = TextSyntax::any;
  std::string definition = {};  // the client's words; empty with `any`

  bool operator==(const TextRule&) const = default;
};

// A custom tool takes one text instead of JSON arguments (Codex' apply_patch). To templates, dialects
// and history it is a function with the parameter kCustomInput; only the wire formats say otherwise.
inline constexpr const char* kCustomInput = "input";
inline constexpr const char* kCustomParameters =
    R"({"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false})";

struct Tool {
  std::string name;  // checked: 1..kToolNameBytes of is_tool_name_char
  std::string description;
  std::string parameters;  // JSON Schema text in the client's key order, an object; "{}" when none was given
  bool custom = false;     // then parameters is kCustomParameters
  TextRule input = {};     // custom: what its text must look like
  // It may be called, but a tool result shows it, not the prompt's list: loading it changes no cached token.
  bool deferred = false;
  // Why what the client gave as parameters is none: "tools[0].function.parameters: expected ..., found a string".
  // Then parameters is "{}": the tool takes any object. Empty: nothing is wrong.
  std::string parameters_fault = {};

  bool operator==(const Tool&) const = default;
};

enum class ToolUse { automatic, required, none };

struct ToolChoice {
  ToolUse use = ToolUse::automatic;
  std::string name = {};  // with required: exactly one call, of this tool. Checked to be one of the tools.
  // Only these of the tools may be called; empty: all. The prompt still shows every tool, so narrowing
  // costs no cached token. Checked to be tools.
  std::vector<std::string> allowed = {};
};

}  // namespace kvern
