// The grammar of a whole turn.
//
// Free text is one lazy terminal that ends with the trigger, so it costs one lexer state per
// character however many tools there are; after the trigger only a call is possible.
#include <fmt/format.h>

#include <algorithm>

#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/channels.h"
#include "chat/dialect/dialect.h"
#include "chat/dialect/format_rule.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/lark_text.h"
#include "chat/dialect/tool_rules.h"
#include "constrain/text_grammar.h"

namespace kvern::chat {
namespace {

class TurnGrammar {
 public:
  TurnGrammar(const Dialect& dialect, const Vocab& vocab) : dialect_(dialect), vocab_(vocab) {}

  // Defines `calls`: everything from behind the first trigger on.
  void add_calls(const ToolRules& tools) {
    names_ = tools.names;
    const std::string lead = std::string(dialect_.section_begin) + std::string(dialect_.call_begin);
    const std::string next = std::string(dialect_.call_separator) + std::string(dialect_.call_begin);
    const std::string more = tools.many ? fmt::format(" ( {} call )*", text(next)) : "";
    const std::string first = lead.substr(dialect_.trigger.size());
    rules_ += fmt::format("calls: {} call_list\n", text(first));
    rules_ += fmt::format("call_list: call{} {}\n", more, text(dialect_.section_end));
    const std::string id(id_expression(dialect_.id_form));
    std::string ahead;
    std::string behind;
    if (dialect_.id_place == IdPlace::before_name) ahead = id + " " + text(dialect_.id_mark);
    if (dialect_.id_place == IdPlace::after_arguments) behind = text(dialect_.id_mark) + " " + id;
    // What elements begin with is a lexeme of its own: the lexer could not go back from a longer one.
    const std::string_view mark = dialect_.parameter_begin;
    const bool split = dialect_.arguments == ArgumentStyle::elements && dialect_.call_end.starts_with(mark);
    const std::string_view end = dialect_.call_end;
    const std::string close = split ? text(mark) + " " + text(end.substr(mark.size())) : text(end);
    rules_ += fmt::format("call: {} tool {} {}\n", ahead, behind, close);
    rules_ += tools.rules;
  }

  // Free text, then calls.
  std::string automatic(bool reasons, bool in_reasoning) {
    rules_ += "turn: " + open_turn() + "\n";
    if (!reasons) return "turn";
    add_text_up_to("reasoning", "TEXT", dialect_.reasoning_end);
    // A turn may end while it still reasons: then there was no call.
    rules_ += "reasoned: reasoning turn | TEXT\n";
    if (in_reasoning) return "reasoned";
    if (is_control(dialect_.reasoning_begin) || dialect_.whole_turn || !dialect_.text_begin.empty()) {
      const std::string none =
          is_control(dialect_.no_reasoning) ? fmt::format(" | BLANK {} turn", text(dialect_.no_reasoning)) : "";
      return fmt::format("BLANK {} reasoned | turn{}", text(dialect_.reasoning_begin), none);
    }
    // Text that begins like reasoning is reasoning, and triggers in it do not count.
    rules_ += fmt::format("REASONING_BEGIN: BLANK {}\n", constrain::lark_literal(dialect_.reasoning_begin));
    rules_ += fmt::format("PLAIN: {}\n", text_not_beginning_with(dialect_.reasoning_begin));
    add_text_up_to("plain_opening", "PLAIN", dialect_.trigger);
    return "REASONING_BEGIN reasoned | PLAIN | plain_opening calls" + turn_end();
  }

  // Something that must come at once, but for reasoning.
  std::string forced(std::string_view what, bool reasons, bool in_reasoning) {
    if (!reasons) return std::string(what);
    add_text_up_to("reasoning", "TEXT", dialect_.reasoning_end);
    rules_ += "NEWLINES: /\\n*/\n";
    const std::string rest = "reasoning NEWLINES";
    if (in_reasoning) return fmt::format("{} ( {} )", rest, what);
    const std::string none =
        dialect_.no_reasoning.empty() ? std::string() : fmt::format(" | {} NEWLINES", text(dialect_.no_reasoning));
    return fmt::format("( {} {}{} )? ( {} )", text(dialect_.reasoning_begin), rest, none, what);
  }

  std::string trigger_then_calls() const { return text(dialect_.trigger) + " calls" + turn_end(); }

  // The answer itself, in the marks the family puts around text.
  std::string answer(const std::string& value) const {
    return fmt::format("{} ( {} ) {}{}", text(dialect_.text_begin), value, text(dialect_.text_end), turn_end());
  }

  std::string finish(const std::string& start) const {
    return fmt::format("%llguidance {{}}\nstart: {}\n{}TEXT: /(.|\\n)*/\nBLANK: /[ \\t\\r\\n]*/\n", start, rules_);
  }

 private:
  std::string text(std::string_view literal) const {
    return literal.empty() ? std::string() : lark_text(literal, vocab_);
  }

  bool is_control(std::string_view marker) const { return begins_with_control(marker, vocab_); }

  std::string turn_end() const {
    return dialect_.turn_end.empty() ? std::string() : fmt::format(" ( {} )?", text(dialect_.turn_end));
  }

  // A rule that matches `body` (a terminal) up to and with the first marker.
  void add_text_up_to(std::string_view rule, std::string_view body, std::string_view marker) {
    if (is_control(marker)) {
      rules_ += fmt::format("{}: {} {}\n", rule, body, text(marker));
    } else {
      rules_ += fmt::format("{}[lazy]: {} {}\n", rule, body, constrain::lark_literal(marker));
    }
  }

  // Everything a turn may be once it does not reason any more.
  std::string open_turn() {
    if (dialect_.whole_turn) return whole_turn();
    add_text_up_to("opening", "TEXT", dialect_.trigger);
    if (dialect_.text_begin.empty()) return "TEXT | opening calls" + turn_end();
    add_text_up_to("marked_text", "TEXT", dialect_.text_end);
    return fmt::format("TEXT | ( {} marked_text BLANK )? ( {} calls )?{} | opening calls{}", text(dialect_.text_begin),
                       text(dialect_.trigger), turn_end(), turn_end());
  }

  // Text or calls. Calls begin with one terminal, which is complete just where it can no longer be text:
  // the lexer takes the longest that fits and could not go back.
  std::string whole_turn() {
    std::vector<std::string> begins = {std::string(dialect_.section_begin) + std::string(dialect_.call_begin)};
    begins.insert(begins.end(), dialect_.other_begins.begin(), dialect_.other_begins.end());
    std::string known;
    std::string calls;
    for (std::size_t i = 0; i < begins.size(); ++i) {
      if (is_control(begins[i])) {
        calls += fmt::format(" | BLANK {} call_list{}", text(begins[i]), turn_end());
        continue;
      }
      known += (known.empty() ? "" : "|") + regex_text(begins[i]);
      rules_ += fmt::format("BEGIN_{}: /[ \\t\\r\\n]*{}/\n", i, regex_text(begins[i]));
      calls += fmt::format(" | BEGIN_{} ( call_list{} | NO_CALL )", i, turn_end());
    }
    // A name is over where what follows it begins.
    const std::string behind = regex_text(trimmed(dialect_.name_end).substr(0, 1));
    rules_ += fmt::format("NO_CALL: TEXT & ~/({}){}(.|\\n)*/\n", names_, behind);
    rules_ += fmt::format("WHOLE_TEXT: TEXT & ~/[ \\t\\r\\n]*({})(.|\\n)*/\n", known);
    return "WHOLE_TEXT" + calls;
  }

  const Dialect& dialect_;
  const Vocab& vocab_;
  std::string rules_;
  std::string names_;  // of the tools, as a regular expression
};

}  // namespace

Result<ConstraintSpec> write_constraint(const Dialect& dialect, bool reasons, bool in_reasoning,
                                        const ChatRequest& request, const Vocab& vocab, constrain::Compiler& compiler,
                                        constrain::SchemaFitter& fitter, const GivenUp& given_up) {
  const bool formatted = request.format.kind != FormatKind::text;
  const std::vector<std::size_t> callable = callable_tools(request);
  if (callable.empty() && !formatted) return ConstraintSpec{};
  if (dialect.layout == Layout::channels)
    return write_channel_constraint(dialect, request, vocab, compiler, fitter, given_up);

  ConstraintSpec spec;
  TurnGrammar grammar(dialect, vocab);
  reasons = (reasons || in_reasoning) && !dialect.reasoning_begin.empty();
  if (!callable.empty()) {
    TRY(ToolRules tools, write_tool_rules(dialect, request, callable, vocab, compiler, fitter, given_up));
    grammar.add_calls(tools);
    spec.relaxed = std::move(tools.relaxed);
  }
  const bool must_call = !callable.empty() && request.tool_choice.use == ToolUse::required;
  if (!formatted || must_call) {
    const std::string start = must_call ? grammar.forced(grammar.trigger_then_calls(), reasons, in_reasoning)
                                        : grammar.automatic(reasons, in_reasoning);
    spec.lark = grammar.finish(start);
    return spec;
  }
  TRY(const std::string value, format_rule(request.format, compiler, fitter, spec.relaxed));
  const std::string answer = grammar.answer(value);
  // An agent that wants a JSON answer still needs its tools on the way there.
  const std::string what = callable.empty() ? answer : answer + " | " + grammar.trigger_then_calls();
  spec.lark = grammar.finish(grammar.forced(what, reasons, in_reasoning));
  return spec;
}

}  // namespace kvern::chat
