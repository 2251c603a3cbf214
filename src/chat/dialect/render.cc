// Calls and tools as text: what a model wrote, or is asked to write.
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/json_text.h"
#include "chat/dialect/dialect.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

void append_tagged(std::string& out, const Dialect& dialect, std::string_view key, std::string_view value) {
  out += dialect.parameter_begin;
  out += key;
  out += dialect.parameter_name_end;
  out += value;
  out += dialect.parameter_end;
}

// Strings raw, everything else as it stands in the JSON text but for its spacing.
void append_parameters(std::string& out, const Dialect& dialect, std::string_view arguments) {
  const auto members = split_object(arguments);
  if (!members) {
    // A client may send what a model never could; it is shown rather than lost.
    if (!trimmed(arguments).empty()) append_tagged(out, dialect, "arguments", arguments);
    return;
  }
  for (const JsonMember& member : *members) {
    if (member.value.starts_with('"')) {
      const auto text = parse_json(member.value);
      append_tagged(out, dialect, member.key, text ? text->get<std::string>() : std::string(member.value));
    } else {
      append_tagged(out, dialect, member.key, respaced(member.value, dialect.item_separator, dialect.key_separator));
    }
  }
}

void append_json_arguments(std::string& out, const Dialect& dialect, std::string_view arguments) {
  const std::string_view text = trimmed(arguments);
  if (text.empty()) {
    out += "{}";
  } else if (parse_json(text)) {
    out += respaced(text, dialect.item_separator, dialect.key_separator);
  } else {
    out += arguments;
  }
}

}  // namespace

std::string render_calls(const Dialect& dialect, std::span<const ToolCall> calls) {
  std::string out;
  for (const ToolCall& call : calls) {
    if (!out.empty()) out += dialect.call_separator;
    out += dialect.call_begin;
    out += call.name;
    out += dialect.name_end;
    if (dialect.arguments == ArgumentStyle::json) {
      append_json_arguments(out, dialect, call.arguments);
    } else {
      append_parameters(out, dialect, call.arguments);
    }
    out += dialect.call_end;
  }
  return out;
}

std::string describe_tools(const Dialect& dialect, std::span<const Tool> tools) {
  std::string out = "# Tools\n\nYou can call the functions listed here, one JSON description a line:\n<tools>";
  for (const Tool& tool : tools) {
    out += "\n{\"type\": \"function\", \"function\": {\"name\": ";
    append_json_string(out, tool.name);
    out += ", \"description\": ";
    append_json_string(out, tool.description);
    out += ", \"parameters\": ";
    out += parse_json(tool.parameters) ? respaced(tool.parameters, ", ", ": ") : "{}";
    out += "}}";
  }
  const ToolCall example{.id = "", .name = "example_function", .arguments = R"({"example_parameter": "value"})"};
  out +=
      "\n</tools>\n\nTo call a function, write a block in exactly this form, with the function's own name and "
      "parameters:\n";
  out += render_calls(dialect, std::span(&example, 1));
  out += "\nWrite one block for each call and nothing after the last one. If no function is needed, just answer.";
  return out;
}

}  // namespace kvern::chat
