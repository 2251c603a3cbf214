// What the grammars accept, asked of llguidance itself, and that the parser reads all of it.
#include <gtest/gtest.h>

#include <random>

#include "chat/dialect/test_grammar.h"
#include "chat/dialect/test_parse.h"

namespace kvern::chat {
namespace {

using testing::Grammar;
using testing::kAccepted;
using testing::kOpen;
using testing::refused_at;
using testing::request_with;
using testing::Writer;

const Dialect& hermes() { return *find_dialect("hermes"); }
const Dialect& coder() { return *find_dialect("qwen3-coder"); }

std::vector<Tool> tools() {
  return {{"read", "", R"({"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"}},
               "required":["path"],"additionalProperties":false})"},
          {"mode", "", R"({"type":"object","properties":{"m":{"type":"string","enum":["on","off"]},
               "o":{"type":"object","properties":{"x":{"$ref":"#/$defs/n"}},"additionalProperties":false},
               "b":{"type":"boolean"}},"required":["m","b"],"additionalProperties":false,"$defs":{"n":{"type":"number"}}})"},
          {"now", "", R"({"type":"object","properties":{},"additionalProperties":false})"}};
}

std::string call(const Dialect& dialect, std::string name, std::string arguments) {
  return render_calls(dialect, std::vector<ToolCall>{{"", std::move(name), std::move(arguments)}});
}

TEST(Grammar, AcceptsTextAndValidCalls) {
  for (const Dialect& dialect : {hermes(), coder()}) {
    const Grammar grammar(dialect, request_with(tools()));
    const std::string read = call(dialect, "read", R"({"path": "a </tool_call> \"b\" é", "limit": 5})");
    const std::string mode = call(dialect, "mode", R"({"m": "off", "o": {"x": 1.5}, "b": true})");
    const std::string now = call(dialect, "now", "{}");
    for (const std::string& text :
         {std::string(), std::string("Just text with <tool_call and </think>."), read, "Text.\n\n" + read, mode, now,
          now + "\n" + mode + "\n" + read, call(dialect, "read", R"({"path": ""})"),
          call(dialect, "mode", R"({"m": "on", "b": false})")})
      EXPECT_EQ(grammar.judge(text), kAccepted) << dialect.name << "\n" << text << "\n" << grammar.spec().lark;
  }
}

TEST(Grammar, RefusesInvalidCallsOnceTheTriggerIsWritten) {
  const Grammar grammar(hermes(), request_with(tools()));
  const std::string begin = "Text <tool_call>\n{\"name\": \"";
  EXPECT_EQ(grammar.judge("Text <tool_call> "), refused_at(16));
  EXPECT_EQ(grammar.judge(begin + "rm"), refused_at(begin.size() + 1));
  EXPECT_EQ(grammar.judge(begin + "read\", \"arguments\": {}"), refused_at(begin.size() + 21));
  EXPECT_EQ(grammar.judge(begin + "read\", \"arguments\": {\"path\": 5"), refused_at(begin.size() + 29));
  EXPECT_EQ(grammar.judge(begin + "read\", \"arguments\": {\"path\":\""), refused_at(begin.size() + 28));
  EXPECT_EQ(grammar.judge(begin), kOpen);
}

TEST(Grammar, RefusesInvalidTaggedCalls) {
  const Grammar grammar(coder(), request_with(tools()));
  const std::string begin = "<tool_call>\n<function=mode>\n";
  EXPECT_EQ(grammar.judge("<tool_call>\n<function=x"), refused_at(22));
  EXPECT_EQ(grammar.judge(begin + "</function>"), refused_at(begin.size() + 1));          // m is required
  EXPECT_EQ(grammar.judge(begin + "<parameter=b>"), refused_at(begin.size() + 11));       // m comes first
  EXPECT_EQ(grammar.judge(begin + "<parameter=m>\non!"), refused_at(begin.size() + 16));  // not listed
  EXPECT_EQ(grammar.judge(begin + "<parameter=m>\non\n</parameter>\n<parameter=b>\nTrue"),
            refused_at(begin.size() + 44));
}

TEST(Grammar, AfterACallComesAnotherCallOrTheEnd) {
  for (const Dialect& dialect : {hermes(), coder()}) {
    const std::string now = call(dialect, "now", "{}");
    ChatRequest request = request_with(tools());
    EXPECT_EQ(Grammar(dialect, request).judge(now + "\nDone"), refused_at(now.size() + 1));
    EXPECT_EQ(Grammar(dialect, request).judge(now + " "), refused_at(now.size()));
    request.parallel_tool_calls = false;
    EXPECT_EQ(Grammar(dialect, request).judge(now), kAccepted);
    EXPECT_EQ(Grammar(dialect, request).judge(now + "\n"), refused_at(now.size()));
  }
}

TEST(Grammar, ARequiredCallComesAtOnceButForReasoning) {
  for (const Dialect& dialect : {hermes(), coder()}) {
    const std::string now = call(dialect, "now", "{}");
    ChatRequest request = request_with(tools());
    request.tool_choice.use = ToolUse::required;
    const Grammar plain(dialect, request);
    EXPECT_EQ(plain.judge(""), kOpen);
    EXPECT_EQ(plain.judge("I"), refused_at(0));
    EXPECT_EQ(plain.judge("<think>"), refused_at(2));
    EXPECT_EQ(plain.judge(now + "\n" + now), kAccepted);

    const Grammar reasoning(dialect, request, true);
    EXPECT_EQ(reasoning.judge("<think>\na <tool_call> b\n</think>\n\n" + now), kAccepted);
    EXPECT_EQ(reasoning.judge(now), kAccepted);
    EXPECT_EQ(reasoning.judge("<think>\n</think>\nI"), refused_at(17));
    EXPECT_EQ(reasoning.judge("<think>\na"), kOpen);

    const Grammar inside(dialect, request, true, true);
    EXPECT_EQ(inside.judge("a\n</think>\n\n" + now), kAccepted);
    EXPECT_EQ(inside.judge("a " + now), kOpen);

    request.tool_choice.name = "now";
    const Grammar named(dialect, request);
    EXPECT_EQ(named.judge(now), kAccepted);
    EXPECT_EQ(named.judge(now + "\n"), refused_at(now.size()));
    EXPECT_NE(named.judge(call(dialect, "read", R"({"path": "a"})")), kAccepted);
  }
}

// Models speak of calls while they reason; the parser reads none there.
TEST(Grammar, ReasoningIsFree) {
  for (const Dialect& dialect : {hermes(), coder()}) {
    const std::string now = call(dialect, "now", "{}");
    const Grammar grammar(dialect, request_with(tools()), true);
    EXPECT_EQ(grammar.judge("<think>\nuse <tool_call>? yes\n</think>\n\nText.\n" + now), kAccepted);
    EXPECT_EQ(grammar.judge("\n<think>\nuse <tool_call>? yes"), kAccepted);
    EXPECT_EQ(grammar.judge("<think>\nyes\n</think>\n\n<tool_call>x"), refused_at(33));
    EXPECT_EQ(grammar.judge("No reasons. <think> <tool_call>x"), refused_at(31));
    EXPECT_EQ(grammar.judge("<thin <tool_call>x"), refused_at(17));
    EXPECT_EQ(grammar.judge("<thin"), kAccepted);
    EXPECT_EQ(grammar.judge(now), kAccepted);
    const Grammar inside(dialect, request_with(tools()), true, true);
    EXPECT_EQ(inside.judge("use <tool_call>? yes\n</think>\n\n" + now), kAccepted);
    EXPECT_EQ(inside.judge("yes\n</think>\n\n<tool_call>x"), refused_at(25));
  }
}

TEST(Grammar, MarkersMayBeControlTokens) {
  const std::vector<std::string> controls = {"<tool_call>", "</tool_call>", "<think>", "</think>"};
  for (const Dialect& dialect : {hermes(), coder()}) {
    const std::string now = call(dialect, "now", "{}");
    ChatRequest request = request_with(tools());
    const Grammar grammar(dialect, request, true, false, controls);
    EXPECT_EQ(grammar.judge("Text.\n" + now + "\n" + now), kAccepted);
    EXPECT_EQ(grammar.judge("<think>\nhm\n</think>\n\n" + now), kAccepted);
    EXPECT_EQ(grammar.judge("Text </think>"), refused_at(5));  // free text holds no control tokens
    request.tool_choice.use = ToolUse::required;
    EXPECT_EQ(Grammar(dialect, request, true, false, controls).judge("<think>\nhm\n</think>\n\n" + now), kAccepted);
  }
}

TEST(Grammar, AResponseFormatIsThatValueAndNothingElse) {
  ChatRequest request;
  request.format = {FormatKind::json_schema,
                    R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},
      "required":["a","b"],"additionalProperties":false})"};
  const Grammar grammar(hermes(), request);
  EXPECT_EQ(grammar.judge(R"({"a": 1, "b": 2})"), kAccepted);
  EXPECT_EQ(grammar.judge(R"({"a":1)"), refused_at(5));
  EXPECT_EQ(grammar.judge("Sure"), refused_at(0));
  EXPECT_EQ(Grammar(hermes(), request, true).judge("<think>\nhm\n</think>\n\n{\"a\": 1, \"b\": 2}"), kAccepted);

  request.format = {FormatKind::json_object, ""};
  EXPECT_EQ(Grammar(hermes(), request).judge(R"({"x": [1, null]})"), kAccepted);
  EXPECT_EQ(Grammar(hermes(), request).judge("[1]"), refused_at(0));

  request.tools = tools();
  EXPECT_EQ(Grammar(hermes(), request).judge(call(hermes(), "now", "{}")), kAccepted);
  EXPECT_EQ(Grammar(hermes(), request).judge(R"({"x": 1})"), kAccepted);
  request.tool_choice.use = ToolUse::none;
  EXPECT_EQ(Grammar(hermes(), request).judge("<"), refused_at(0));
}

TEST(Grammar, AnyNamesAreAllowedWhereNoneAreDeclared) {
  const Grammar grammar(coder(),
                        request_with({{"env", "", R"({"type":"object","additionalProperties":{"type":"string"}})"}}));
  EXPECT_EQ(grammar.judge(call(coder(), "env", R"({"PATH": "/bin", "x_1": ""})")), kAccepted);
  EXPECT_EQ(grammar.judge(call(coder(), "env", "{}")), kAccepted);
}

// A model that means the empty string may write the end tag at once; it must not be kept from ending.
TEST(Grammar, AnEmptyStringMayLackItsNewline) {
  const Grammar grammar(coder(), request_with(tools()));
  EXPECT_EQ(grammar.judge("<tool_call>\n<function=read>\n<parameter=path>\n</parameter>\n</function>\n</tool_call>"),
            kAccepted);
}

TEST(Grammar, TheParserReadsACallInWhateverTheGrammarAllows) {
  for (const Dialect& dialect : {hermes(), coder()}) {
    ChatRequest request = request_with(tools());
    request.tools.pop_back();
    request.tool_choice.use = ToolUse::required;
    const Grammar grammar(dialect, request);
    int written = 0;
    for (unsigned seed = 0; seed < 60; ++seed) {
      const std::string text = Writer(seed).write(grammar);
      if (text.empty()) continue;  // a string that would not end
      ++written;
      ParserOptions options;
      options.tools = request.tools;
      std::size_t starts = 0;
      std::size_t ends = 0;
      for (const Event& event : testing::parse(dialect, options, {text})) {
        EXPECT_FALSE(std::holds_alternative<TextEvent>(event)) << text;
        starts += std::holds_alternative<CallStartEvent>(event) ? 1 : 0;
        ends += std::holds_alternative<CallEndEvent>(event) ? 1 : 0;
      }
      EXPECT_GE(starts, 1U) << text;
      EXPECT_EQ(starts, ends) << text;
    }
    EXPECT_GE(written, 10) << dialect.name;
  }
}

}  // namespace
}  // namespace kvern::chat
