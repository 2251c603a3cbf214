// `tools` and `tool_choice` of a chat request, and their predecessors `functions` and
// `function_call`. Pure; thread: any.
#pragma once

#include <span>
#include <vector>

#include "api/fields.h"
#include "core/tool.h"

namespace kvern::api {

// Tools that are not functions are left out: no model here could call them. Code::too_large over
// kTools or kToolSchemaBytes.
Result<std::vector<Tool>> read_tools(const Fields& body);

Result<ToolChoice> read_tool_choice(const Fields& body, std::span<const Tool> tools);

}  // namespace kvern::api
