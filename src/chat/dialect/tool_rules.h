// The rules of a request's tools, which every layout of a turn needs. Thread: any.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "chat/dialect/dialect.h"

namespace kvern::chat {

// Indices of the tools the model may call: tool_choice none, a name and allowed tools obeyed.
std::vector<std::size_t> callable_tools(const ChatRequest& request);

struct ToolRules {
  std::string rules;  // `tool`: a name and its arguments, the id between them; and what it refers to
  std::string names;  // a regular expression for their names
  bool many = false;  // more than one call may be written
  std::vector<std::string> relaxed;
};

// behind_name: Lark for what stands between the name and the arguments; empty: the record's name_end.
// A tool whose schema is none takes any object. Code::cancelled when given up.
Result<ToolRules> write_tool_rules(const Dialect& dialect, const ChatRequest& request,
                                   const std::vector<std::size_t>& callable, const Vocab& vocab,
                                   constrain::Compiler& compiler, constrain::SchemaFitter& fitter,
                                   const GivenUp& given_up, const std::string& behind_name = {});

}  // namespace kvern::chat
