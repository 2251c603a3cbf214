#include "chat/dialect/channels.h"

#include <fmt/format.h>

#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/format_rule.h"
#include "chat/dialect/lark_text.h"
#include "chat/dialect/tool_rules.h"

namespace kvern::chat {
namespace {

class ChannelGrammar {
 public:
  explicit ChannelGrammar(const Vocab& vocab) : vocab_(vocab) {}

  // `think` and `preamble`: a whole message in its channel and the start of the next one.
  void add_messages() {
    const bool control = begins_with_control("<|end|>", vocab_);
    rules_ += control ? fmt::format("body: TEXT {}\n", text("<|end|>"))
                      : fmt::format("body[lazy]: TEXT {}\n", constrain::lark_literal("<|end|>"));
    for (const auto& [rule, channel] : {std::pair{"think", "analysis"}, std::pair{"preamble", "commentary"}})
      rules_ += fmt::format("{}: {} body {}\n", rule, text(fmt::format("<|channel|>{}<|message|>", channel)),
                            text("<|start|>assistant"));
  }

  // The recipient stands ahead of the channel, as templates write history, or behind it, as the model
  // was taught; the arguments' type is a token and a word, a word, or not there.
  static std::string behind_name(const Vocab& vocab) {
    return fmt::format("( {} )? ( {} | {} )? {}", lark_text("<|channel|>commentary", vocab),
                       lark_text(" <|constrain|>json", vocab), lark_text(" json", vocab),
                       lark_text("<|message|>", vocab));
  }

  void add_calls(const ToolRules& tools) {
    rules_ += fmt::format("call: ( {} | {} ) tool\n{}", text(" to=functions."),
                          text("<|channel|>commentary to=functions."), tools.rules);
  }

  std::string answer(const std::string& value) const {
    return fmt::format("{} ( {} )", text("<|channel|>final<|message|>"), value);
  }

  std::string finish(const std::string& start) const {
    return fmt::format("%llguidance {{}}\nstart: {}\n{}TEXT: /(.|\\n)*/\n", start, rules_);
  }

 private:
  std::string text(std::string_view literal) const { return lark_text(literal, vocab_); }

  const Vocab& vocab_;
  std::string rules_;
};

}  // namespace

Result<ConstraintSpec> write_channel_constraint(const Dialect& dialect, const ChatRequest& request, const Vocab& vocab,
                                                constrain::Compiler& compiler, constrain::SchemaFitter& fitter,
                                                const GivenUp& given_up) {
  ConstraintSpec spec;
  ChannelGrammar grammar(vocab);
  grammar.add_messages();
  const std::vector<std::size_t> callable = callable_tools(request);
  if (!callable.empty()) {
    TRY(ToolRules tools, write_tool_rules(dialect, request, callable, vocab, compiler, fitter, given_up,
                                          ChannelGrammar::behind_name(vocab)));
    grammar.add_calls(tools);
    spec.relaxed = std::move(tools.relaxed);
  }
  const bool must_call = !callable.empty() && request.tool_choice.use == ToolUse::required;
  std::string end = "call";
  if (!must_call) {
    std::string value = "TEXT";
    if (request.format.kind != FormatKind::text) {
      TRY(value, format_rule(request.format, compiler, fitter, spec.relaxed));
    }
    end = grammar.answer(value) + (callable.empty() ? "" : " | call");
  }
  const bool free = !must_call && request.format.kind == FormatKind::text;
  // A turn may end while it still reasons: then there was no call.
  spec.lark =
      grammar.finish(free ? fmt::format("( think | preamble )* ( {} )", end) : fmt::format("think? ( {} )", end));
  return spec;
}

std::string render_channel_calls(const Dialect& dialect, std::span<const ToolCall> calls) {
  std::string out;
  for (const ToolCall& call : calls) {
    if (!out.empty()) out += "<|call|><|start|>assistant";
    out += " to=functions." + call.name + "<|channel|>commentary json<|message|>";
    codec_of(dialect.arguments).render(out, dialect, call.arguments);
  }
  return out;
}

}  // namespace kvern::chat
