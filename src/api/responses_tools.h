// `tools` and `tool_choice` of a Responses request. Pure; thread: any.
//
//   function, custom   as in chat, flat
//   namespace          {"name","description","tools"}: its tools are called NAMESPACE__NAME in the prompt, and
//                      NAME with "namespace" in every item
//   tool_search        with execution "client" and parameters: a function the client answers with tools
//   local_shell        a function with the parameters of its call's action
// Tools that run on a vendor's servers (web_search, file_search, mcp, ...) are left out.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/request_body.h"
#include "core/tool.h"

namespace kvern::api {

// Which item a call is written as.
enum class CallKind { function, custom, tool_search, local_shell };

struct CallName {
  CallKind kind = CallKind::function;
  std::string name;
  std::string space = {};  // its namespace; may be empty
  bool operator==(const CallName&) const = default;
};

using CallNames = std::map<std::string, CallName, std::less<>>;  // by the tool's name in the prompt

struct ResponsesTools {
  std::vector<Tool> tools;
  CallNames names;
};

// Tools of a request, and as its answers repeat them: as JSON.
struct OfferedResponsesTools {
  ResponsesTools tools;
  std::string echo = "[]";
};
Result<OfferedResponsesTools> read_responses_tools(const RequestBody& body);

// Tools out of a conversation's item: a broken one is left out, for an error would come back with every
// later request. Prompt names are the same as in read_responses_tools.
ResponsesTools read_loaded_tools(const Json& list);

// Adds those whose names are not taken: callable, but not in the prompt's list.
void add_deferred(ResponsesTools& to, const ResponsesTools& loaded);

// One line of JSON a tool: what a model is shown of tools that are not in the prompt's list.
std::string shown_tools(const ResponsesTools& loaded);

// The name in the prompt of a tool that a call in the history names. Needs no tool list: a side request
// without tools renders the same history.
std::string prompt_name(const ResponsesTools& tools, const CallName& name);

// Named tools by their own names, with "namespace" where they have one.
Result<ToolChoice> read_responses_tool_choice(const Fields& body, const ResponsesTools& tools);

}  // namespace kvern::api
