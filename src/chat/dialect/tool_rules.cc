#include "chat/dialect/tool_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/lark_text.h"

namespace kvern::chat {
namespace {

Result<std::string> tool_body(GrammarParts& parts, const Tool& tool, std::size_t index,
                              const std::string& behind_name) {
  const Dialect& dialect = parts.dialect;
  auto arguments = codec_of(dialect.arguments).grammar(parts, tool);
  if (!arguments) {
    Error error = std::move(arguments).error();
    if (error.code == Code::invalid)
      error.field = fmt::format("tools[{}].{}", index, tool.custom ? "custom.format" : "function.parameters");
    return tl::unexpected(std::move(error));
  }
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
                                   const std::string& behind_name) {
  GrammarParts parts(dialect, vocab, compiler, fitter);
  ToolRules out;
  std::string tools;
  std::string bodies;
  for (const std::size_t i : callable) {
    TRY(const std::string body, tool_body(parts, request.tools[i], i, behind_name));
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
