// `tools` and `tool_choice` of an Anthropic request. Pure; thread: any.
//
// A tool with defer_loading is not in the prompt: it may be called once a tool_reference in the
// conversation has shown it, and that place shows its definition. So loading one adds to the prompt
// and changes nothing before it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/request_body.h"
#include "core/chat_request.h"
#include "core/tool.h"

namespace kvern::api {

class OfferedTools {
 public:
  // Tools that Anthropic's servers would run themselves (web_search, code_execution, ...) are left out:
  // no one here could. Its client tools without a schema (bash, text_editor, ...) get one.
  // Code::too_large over kTools or kToolSchemaBytes.
  static Result<OfferedTools> read(const RequestBody& body);

  // Shows the tool at this place of the conversation: its definition in one line where it is shown for the first
  // time, a pointer to it after that (a conversation that refers to it often would grow without bound), "" for a
  // name that is not offered. It may be called from now on.
  std::string show(std::string_view name);
  std::size_t times_shown() const { return times_shown_; }

  // What may be called, in the client's order: Tool::deferred where only the conversation shows it.
  std::vector<Tool> callable() const;

  // A tool of Anthropic's servers: named by the client, but not callable.
  bool is_served_elsewhere(std::string_view name) const;
  bool any_served_elsewhere() const { return !elsewhere_.empty(); }

 private:
  struct Offer {
    Tool tool;
    bool shown = true;
  };

  static Result<OfferedTools> read(const Json& list, const std::string& path);
  Status add(const Fields& entry);

  std::vector<Offer> offers_;
  std::vector<std::string> elsewhere_;
  std::size_t times_shown_ = 0;
};

// tool_choice and its disable_parallel_tool_use -> request.tool_choice and .parallel_tool_calls;
// request.tools are the callable ones. A choice that only a tool served elsewhere could meet asks for
// plain text, which is all that can be given.
Status read_anthropic_tool_choice(const Fields& body, const OfferedTools& offered, ChatRequest& request);

}  // namespace kvern::api
