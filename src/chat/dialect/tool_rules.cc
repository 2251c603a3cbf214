#include "chat/dialect/tool_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/lark_text.h"

namespace kvern::chat {
namespace {

// A tool whose schema or format is none takes anything: with dozens of tools from as many servers, one bad
// definition must cost that tool its exactness and the request nothing.
Result<std::string> arguments_of(GrammarParts& parts, const Tool& tool) {
  const ArgumentCodec& codec = codec_of(parts.dialect.arguments);
  if (!tool.parameters_fault.empty())
    parts.relax(tool, "/: everything, any JSON object is taken: " + tool.parameters_fault);
  auto arguments = codec.grammar(parts, tool);
  if (arguments || (arguments.error().code != Code::invalid && arguments.error().code != Code::too_large))
    return arguments;
  Tool free = tool;
  free.input = {};
  if (!tool.custom) free.parameters = R"({"type":"object"})";
  parts.relax(tool, fmt::format("/: everything, any {} is taken: {}", tool.custom ? "text" : "JSON object",
                                arguments.error().message));
  return codec.grammar(parts, free);
}

Result<std::string> tool_body(GrammarParts& parts, const Tool& tool, const std::string& behind_name) {
  const Dialect& dialect = parts.dialect;
  auto arguments = arguments_of(parts, tool);
  if (!arguments) return arguments;
  if (!behind_name.empty()) return fmt::format("{} {} {}", lark_text(tool.name, parts.vocab), behind_name, *arguments);
  std::string head = lark_text(tool.name + std::string(dialect.name_end), parts.vocab);
  if (dialect.id_place == IdPlace::after_name) {
    head = lark_text(tool.name + std::string(dialect.id_mark), parts.vocab) + " ";
    head += id_expression(dialect.id_form);
    if (!dialect.name_end.empty()) head += " " + lark_text(dialect.name_end, parts.vocab);
  }
  return head + " " + *arguments;
}

}  // namespace

std::vector<std::size_t> callable_tools(const ChatRequest& request) {
  const ToolChoice& choice = request.tool_choice;
  std::vector<std::size_t> callable;
  if (choice.use == ToolUse::none) return callable;
  for (std::size_t i = 0; i < request.tools.size(); ++i) {
    const std::string& name = request.tools[i].name;
    if (choice.use == ToolUse::required && !choice.name.empty() && name != choice.name) continue;
    const auto& allowed = choice.allowed;
    if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), name) == allowed.end()) continue;
    callable.push_back(i);
  }
  return callable;
}

Result<ToolRules> write_tool_rules(const Dialect& dialect, const ChatRequest& request,
                                   const std::vector<std::size_t>& callable, const Vocab& vocab,
                                   constrain::Compiler& compiler, constrain::SchemaFitter& fitter,
                                   const GivenUp& given_up, const std::string& behind_name) {
  GrammarParts parts(dialect, vocab, compiler, fitter);
  ToolRules out;
  std::string tools;
  std::string bodies;
  for (const std::size_t i : callable) {
    if (given_up && given_up()) return fail(Code::cancelled, "the client left while its tools were read");
    TRY(const std::string body, tool_body(parts, request.tools[i], behind_name));
    tools += fmt::format("{}t{}", tools.empty() ? "" : " | ", i);
    out.names += (out.names.empty() ? "" : "|") + regex_text(request.tools[i].name);
    bodies += fmt::format("t{}: {}\n", i, body);
  }
  const bool named = request.tool_choice.use == ToolUse::required && !request.tool_choice.name.empty();
  out.many = dialect.parallel && request.parallel_tool_calls && !named;
  out.rules = fmt::format("tool: {}\n{}{}", tools, bodies, parts.shared_rules());
  out.relaxed = parts.take_relaxed();
  return out;
}

}  // namespace kvern::chat
