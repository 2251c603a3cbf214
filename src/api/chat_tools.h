// `tools` and `tool_choice` of a chat request, and their predecessors `functions` and
// `function_call`. Pure; thread: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/request_body.h"
#include "core/tool.h"

namespace kvern::api {

// Functions, and custom tools with the parameters kCustomParameters; a custom tool's description also
// says what its input looks like. Tools of other types are left out: no model here could call them.
// Code::too_large over kTools, kToolSchemaBytes or kTextRuleBytes.
Result<std::vector<Tool>> read_tools(const RequestBody& body);

// Code::invalid unless name is 1..kToolNameBytes of is_tool_name_char.
Status check_tool_name(std::string_view name, std::string path);
// One tool out of the object that says its name.
Result<Tool> read_function_tool(const Fields& function);
Result<Tool> read_custom_tool(const Fields& custom);
// A tool's schema out of that field of its entry; absent is "{}". Anything but an object is the tool's
// parameters_fault: with dozens of tools from as many servers, one bad definition must not end the conversation.
Status read_parameters(const Fields& entry, std::string_view name, Tool& tool);

// An empty list of allowed tools is `none`; with mode "required" it is an error.
Result<ToolChoice> read_tool_choice(const Fields& body, std::span<const Tool> tools);

}  // namespace kvern::api
