// The grammar of a whole turn.
//
// Free text is one lazy terminal that ends with the trigger, so it costs one lexer state per
// character however many tools there are; after the trigger only a call is possible.
#include <fmt/format.h>

#include "chat/dialect/dialect.h"
#include "chat/dialect/lark_text.h"
#include "chat/dialect/tool_grammar.h"

namespace kvern::chat {
namespace {

constexpr std::string_view kSchemaField = "response_format.json_schema.schema";

class TurnGrammar {
 public:
  TurnGrammar(const Dialect& dialect, const Vocab& vocab) : dialect_(dialect), vocab_(vocab) {}

  // A rule that matches `text` (a terminal) up to and with the first marker.
  void add_text_up_to(std::string_view rule, std::string_view text, std::string_view marker) {
    if (const std::string token = control_token(marker, vocab_); !token.empty()) {
      rules_ += fmt::format("{}: {} {}\n", rule, text, token);
    } else {
      rules_ += fmt::format("{}[lazy]: {} {}\n", rule, text, constrain::lark_literal(marker));
    }
  }

  // Defines `calls`: everything from behind the first trigger on.
  Status add_calls(const ChatRequest& request, constrain::SchemaFitter& fitter, std::vector<std::string>& relaxed) {
    ToolGrammar tools(dialect_, vocab_, fitter);
    const std::string& only = request.tool_choice.name;
    const bool named = request.tool_choice.use == ToolUse::required && !only.empty();
    std::string names;
    std::string bodies;
    for (std::size_t i = 0; i < request.tools.size(); ++i) {
      if (named && request.tools[i].name != only) continue;
      TRY(const std::string body, tools.call(request.tools[i], i));
      names += fmt::format("{}t{}", names.empty() ? "" : " | ", i);
      bodies += fmt::format("t{}: {}\n", i, body);
    }
    if (names.empty()) return fail(Code::invalid, fmt::format("there is no tool named {}", only), "tool_choice");
    const bool many = request.parallel_tool_calls && !named;
    const std::string next = lark_text(std::string(dialect_.call_separator) + std::string(dialect_.trigger), vocab_);
    rules_ += fmt::format("calls: call{}\n", many ? fmt::format(" ( {} call )*", next) : "");
    rules_ += fmt::format("call: {} tool {}\n", lark_text(dialect_.call_begin.substr(dialect_.trigger.size()), vocab_),
                          lark_text(dialect_.call_end, vocab_));
    rules_ += fmt::format("tool: {}\n{}{}", names, bodies, tools.shared_rules());
    relaxed = tools.take_relaxed();
    return {};
  }

  // Free text, then calls.
  std::string automatic(bool reasons, bool in_reasoning) {
    add_text_up_to("opening", "TEXT", dialect_.trigger);
    rules_ += "turn: TEXT | opening calls\n";
    if (!reasons) return "turn";
    add_text_up_to("reasoning", "TEXT", dialect_.reasoning_end);
    // A turn may end while it still reasons: then there was no call.
    rules_ += "reasoned: reasoning turn | TEXT\n";
    if (in_reasoning) return "reasoned";
    rules_ += "BLANK: /[ \\t\\r\\n]*/\n";
    if (const std::string token = control_token(dialect_.reasoning_begin, vocab_); !token.empty())
      return fmt::format("BLANK {} reasoned | turn", token);
    // Text that begins like reasoning is reasoning, and triggers in it do not count.
    rules_ += fmt::format("REASONING_BEGIN: BLANK {}\n", constrain::lark_literal(dialect_.reasoning_begin));
    rules_ += fmt::format("PLAIN: {}\n", text_not_beginning_with(dialect_.reasoning_begin));
    add_text_up_to("plain_opening", "PLAIN", dialect_.trigger);
    return "REASONING_BEGIN reasoned | PLAIN | plain_opening calls";
  }

  // Something that must come at once, but for reasoning.
  std::string forced(std::string_view what, bool reasons, bool in_reasoning) {
    if (!reasons) return std::string(what);
    add_text_up_to("reasoning", "TEXT", dialect_.reasoning_end);
    rules_ += "NEWLINES: /\\n*/\n";
    const std::string rest = "reasoning NEWLINES";
    if (in_reasoning) return fmt::format("{} ( {} )", rest, what);
    return fmt::format("( {} {} )? ( {} )", lark_text(dialect_.reasoning_begin, vocab_), rest, what);
  }

  std::string trigger_then_calls() const { return lark_text(dialect_.trigger, vocab_) + " calls"; }

  void add_rule(const std::string& rule) { rules_ += rule; }

  std::string finish(const std::string& start) const {
    return fmt::format("%llguidance {{}}\nstart: {}\n{}TEXT: /(.|\\n)*/\n", start, rules_);
  }

 private:
  const Dialect& dialect_;
  const Vocab& vocab_;
  std::string rules_;
};

}  // namespace

Result<ConstraintSpec> write_constraint(const Dialect& dialect, bool reasons, bool in_reasoning,
                                        const ChatRequest& request, const Vocab& vocab,
                                        constrain::SchemaFitter& fitter) {
  const bool calls = !request.tools.empty() && request.tool_choice.use != ToolUse::none;
  const bool formatted = request.format.kind != FormatKind::text;
  if (!calls && !formatted) return ConstraintSpec{};

  ConstraintSpec spec;
  TurnGrammar grammar(dialect, vocab);
  reasons = (reasons || in_reasoning) && !dialect.reasoning_begin.empty();
  if (calls) TRY_OK(grammar.add_calls(request, fitter, spec.relaxed));

  const bool must_call = calls && request.tool_choice.use == ToolUse::required;
  if (!formatted || must_call) {
    const std::string start = must_call ? grammar.forced(grammar.trigger_then_calls(), reasons, in_reasoning)
                                        : grammar.automatic(reasons, in_reasoning);
    spec.lark = grammar.finish(start);
    return spec;
  }

  const bool any_object = request.format.kind == FormatKind::json_object;
  auto fitted = fitter.fit(any_object ? std::string_view(R"({"type":"object"})") : request.format.schema, {});
  if (!fitted) {
    Error error = std::move(fitted).error();
    if (error.code == Code::invalid) error.field = kSchemaField;
    return tl::unexpected(std::move(error));
  }
  for (const std::string& what : fitted->relaxed) spec.relaxed.push_back("response_format: " + what);
  grammar.add_rule("value: %json " + fitted->json + "\n");
  // An agent that wants a JSON answer still needs its tools on the way there.
  const std::string what = calls ? "value | " + grammar.trigger_then_calls() : "value";
  spec.lark = grammar.finish(grammar.forced(what, reasons, in_reasoning));
  return spec;
}

}  // namespace kvern::chat
