// The families that write parameters as elements: against their own templates, and what their grammars
// allow.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.h"
#include "chat/dialect/test_grammar.h"
#include "chat/dialect/test_parse.h"
#include "chat/template/jinja_template.h"

namespace kvern::chat {
namespace {

using testing::ByteVocab;
using testing::Grammar;
using testing::kAccepted;
using testing::kOpen;
using testing::request_with;

// A family, the template that writes it, and those of its markers that are control tokens somewhere.
struct Family {
  const char* dialect;
  const char* source;
  std::vector<std::string> controls;
};
void PrintTo(const Family& family, std::ostream* out) { *out << family.source; }

const std::vector<Family> kFamilies = {
    {"seed-oss", "ByteDance-Seed-OSS", {"<seed:tool_call>", "</seed:tool_call>", "<seed:think>", "</seed:think>"}},
    {"glm-4.5", "GLM-4.6", {"<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"}},
    {"glm-4.7",
     "GLM-4.7-Flash",
     {"<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"}},
    {"glm-4.7", "poolside-Laguna-S-2.1", {"<tool_call>", "</tool_call>"}},
    {"laguna-xs.2", "poolside-Laguna-XS-2.1", {"<tool_call>", "</tool_call>"}},
    {"glm-4.7", "Spark2.5", {"<tool_call>", "</tool_call>", "<arg_value>", "</arg_value>"}},
    {"laguna-xs.2", "poolside-Laguna-XS.2", {"<tool_call>", "</tool_call>"}},
    {"ling-3", "inclusionai-ling-3.0-flash", {"<tool_call>", "</tool_call>"}},
    {"hy3", "tencent-Hy3", {"<tool_calls:opensource>", "</tool_calls:opensource>", "</arg_value:opensource>"}},
    {"minimax-m2", "MiniMax-M2", {"<minimax:tool_call>", "</minimax:tool_call>"}},
    {"deepseek-v3.2", "deepseek-ai-DeepSeek-V3.2", {"<think>", "</think>"}},
    {"deepseek-v4", "deepseek-ai-DeepSeek-V4", {"<think>", "</think>"}},
    {"deepseek-v4", "deepseek-ai-DeepSeek-V4-Flash-0731", {"<think>", "</think>"}},
    {"kimi-k3", "Kimi-K3", {"<|open|>", "<|sep|>", "<|close|>"}},
    {"step3.5", "StepFun3.5-Flash", {"<tool_call>", "</tool_call>"}},
    {"nemotron-3", "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", {"<tool_call>", "</tool_call>"}},
    {"qwen3-coder", "Qwen3-Coder", {"<tool_call>", "</tool_call>"}},
    {"qwen3-coder", "Qwen3.5-4B", {"<tool_call>", "</tool_call>"}},
};

const Dialect& dialect_of(const Family& family) { return *find_dialect(family.dialect); }

std::vector<Tool> tools() {
  return {{.name = "read",
           .description = "",
           .parameters = R"({"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"},
               "how":{"type":"object","properties":{"x":{"type":"number"}},"additionalProperties":false}},
               "required":["path"]})"},
          {.name = "now", .description = "", .parameters = R"({"type":"object","properties":{}})"},
          {.name = "set",
           .description = "",
           .parameters = R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"boolean"}}})"}};
}

ToolCall call_of(std::string name, std::string arguments) {
  return {.id = {}, .name = std::move(name), .arguments = std::move(arguments), .written_id = {}};
}

std::string rendered(const Dialect& dialect, std::string name, std::string arguments) {
  return render_calls(dialect, std::vector<ToolCall>{call_of(std::move(name), std::move(arguments))});
}

class TaggedFamily : public ::testing::TestWithParam<Family> {};

Json conversation(const std::vector<ToolCall>& calls) {
  Json list = Json::array();
  for (const ToolCall& call : calls)
    list.push_back({{"id", call.id},
                    {"type", "function"},
                    {"function", {{"name", call.name}, {"arguments", *parse_json(call.arguments)}}}});
  return {
      {{"role", "user"}, {"content", "Q"}},
      {{"role", "assistant"}, {"content", "I look."}, {"reasoning_content", "Hm."}, {"tool_calls", std::move(list)}}};
}

Result<std::string> render_template(const Family& family, const std::vector<ToolCall>& calls) {
  std::ifstream file(std::string(KVERN_LLAMA_DIR) + "/models/templates/" + family.source + ".jinja");
  if (!file) return fail(Code::not_found, "no such template here");
  std::stringstream source;
  source << file.rdbuf();
  TRY(const auto jinja, JinjaTemplate::parse(source.str()));
  TRY(const Json parameters, parse_json(tools()[0].parameters));
  Json offered = Json::array();
  for (const ToolCall& call : calls)
    offered.push_back(
        {{"type", "function"}, {"function", {{"name", call.name}, {"description", "d"}, {"parameters", parameters}}}});
  TRY(const auto parts,
      jinja->render({{"messages", conversation(calls)}, {"tools", std::move(offered)}},
                    {{"bos_token", "<bos>"}, {"eos_token", "<eos>"}, {"add_generation_prompt", false}}));
  std::string text;
  for (const RenderedPart& part : parts) text += part.text;
  return text;
}

TEST_P(TaggedFamily, WritesCallsAsItsTemplateDoes) {
  const std::vector<ToolCall> calls = probe_calls(false);
  const auto text = render_template(GetParam(), calls);
  if (!text && text.error().code == Code::not_found) GTEST_SKIP() << "the template is not on this machine";
  ASSERT_TRUE(text.has_value()) << text.error().message;
  const Dialect& dialect = dialect_of(GetParam());
  const std::string expected =
      std::string(dialect.text_end) + std::string(dialect.text_separator) + render_calls(dialect, calls);
  EXPECT_NE(text->find("I look." + expected), std::string::npos) << *text << "\nwithout\n" << expected;
  if (!dialect.reasoning_close.empty() && text->find("Hm.") != std::string::npos) {
    EXPECT_NE(text->find("Hm." + std::string(dialect.reasoning_close)), std::string::npos) << *text;
  }
}

// Another record whose text is a part of this family's would be taken for it.
TEST_P(TaggedFamily, IsChosenByWhatItsTemplateRenders) {
  const auto text = render_template(GetParam(), probe_calls(false));
  if (!text && text.error().code == Code::not_found) GTEST_SKIP() << "the template is not on this machine";
  ASSERT_TRUE(text.has_value()) << text.error().message;
  CallProbe probe;
  probe.two = *text;
  const std::vector<CallProbe> shown = {probe};
  EXPECT_EQ(choose_dialect("{% for t in tools %}{% endfor %}", shown).dialect->name, GetParam().dialect);
}

TEST_P(TaggedFamily, AllowsTextAndValidCalls) {
  const Dialect& dialect = dialect_of(GetParam());
  for (const auto& controls : {std::vector<std::string>(), GetParam().controls}) {
    const Grammar grammar(dialect, request_with(tools()), false, false, controls);
    const std::string both = render_calls(
        dialect, std::vector<ToolCall>{call_of("now", "{}"), call_of("read", R"({"path": "a\n\"b\" é", "limit": 5})")});
    const std::string text = std::string(dialect.text_begin) + "I look." + std::string(dialect.text_end);
    for (const std::string& turn :
         {std::string(), text, both, text + std::string(dialect.text_separator) + both + std::string(dialect.turn_end),
          rendered(dialect, "read", R"({"path": ""})"),
          rendered(dialect, "read", R"({"path": "x", "how": {"x": 1.5}})"), rendered(dialect, "set", "{}"),
          rendered(dialect, "set", R"({"a": "< > </"})"), rendered(dialect, "set", R"({"b": true})"),
          rendered(dialect, "set", R"({"a": "null", "b": false})")})
      EXPECT_EQ(grammar.judge(turn), kAccepted) << turn << "\n" << grammar.spec().lark;
  }
}

TEST_P(TaggedFamily, RefusesInvalidCallsOnceTheTriggerIsWritten) {
  const Dialect& dialect = dialect_of(GetParam());
  for (const auto& controls : {std::vector<std::string>(), GetParam().controls}) {
    const Grammar grammar(dialect, request_with(tools()), false, false, controls);
    for (const char* arguments :
         {"{}", R"({"limit": 5})", R"({"path": "a", "limit": "b"})", R"({"path": "a", "x": "b"})",
          R"({"path": "a", "how": {"y": 1}})", R"({"limit": 5, "path": "a"})"})
      EXPECT_TRUE(grammar.judge(rendered(dialect, "read", arguments)).refused()) << arguments;
    EXPECT_TRUE(grammar.judge(rendered(dialect, "remove", "{}")).refused());
    EXPECT_TRUE(grammar.judge(rendered(dialect, "set", R"({"b": "yes"})")).refused());
    EXPECT_TRUE(grammar.judge(rendered(dialect, "now", R"({"a": 1})")).refused());
    const std::string now = rendered(dialect, "now", "{}");
    EXPECT_TRUE(grammar.judge(now + " more").refused());
    EXPECT_EQ(grammar.judge(std::string(dialect.section_begin) + std::string(dialect.call_begin) + "no"), kOpen);
  }
}

TEST_P(TaggedFamily, ReasoningIsFreeAndThenACallCanBeRequired) {
  const Dialect& dialect = dialect_of(GetParam());
  const std::string now = rendered(dialect, "now", "{}");
  ChatRequest request = request_with(tools());
  request.tool_choice.use = ToolUse::required;
  for (const auto& controls : {std::vector<std::string>(), GetParam().controls}) {
    const Grammar inside(dialect, request, true, true, controls);
    EXPECT_EQ(inside.judge("a < b" + std::string(dialect.reasoning_close) + now), kAccepted) << inside.spec().lark;
    EXPECT_EQ(inside.judge("a < b"), kOpen);
    EXPECT_TRUE(inside.judge("a" + std::string(dialect.reasoning_close) + "So").refused());
    const Grammar before(dialect, request, true, false, controls);
    EXPECT_EQ(before.judge(std::string(dialect.reasoning_begin) + "a" + std::string(dialect.reasoning_close) + now),
              kAccepted);
    EXPECT_EQ(before.judge(now), kAccepted);
  }
}

// What a turn meant must be what is rendered for it again, or the cached prefix ends there.
TEST_P(TaggedFamily, RendersWhatItReadAsItWasWritten) {
  const Dialect& dialect = dialect_of(GetParam());
  ParserOptions options;
  options.tools = tools();
  for (const char* arguments : {"{}", R"({"path": "a"})", R"({"path": "", "limit": -3})",
                                R"({"path": "é\n\n  \"x\" </ <\\", "how": {"x": [1, null]}})"}) {
    const std::vector<ToolCall> calls = {call_of("read", arguments), call_of("now", "{}"),
                                         call_of("set", R"({"a": "1"})")};
    const std::string text = render_calls(dialect, calls);
    std::vector<ToolCall> read;
    for (const Event& event : testing::parse(dialect, options, {text})) {
      if (const auto* start = std::get_if<CallStartEvent>(&event)) read.push_back(call_of(start->name, ""));
      if (const auto* args = std::get_if<CallArgsEvent>(&event)) read.back().arguments += args->text;
      if (const auto* end = std::get_if<CallEndEvent>(&event)) read.back().written_id = end->written_id;
    }
    ASSERT_EQ(read.size(), 3U) << text;
    EXPECT_EQ(read[0].arguments, arguments) << text;
    EXPECT_EQ(render_calls(dialect, read), text);
  }
}

TEST_P(TaggedFamily, TheParserReadsACallInWhateverTheGrammarAllows) {
  const Dialect& dialect = dialect_of(GetParam());
  ChatRequest request = request_with(tools());
  request.tool_choice.use = ToolUse::required;
  const Grammar grammar(dialect, request);
  ParserOptions options;
  options.tools = request.tools;
  int written = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    const std::string text = testing::Writer(seed).write(grammar);
    if (text.empty()) continue;  // a string that would not end
    ++written;
    std::vector<ToolCall> read;
    std::size_t ends = 0;
    for (const Event& event : testing::parse(dialect, options, {text})) {
      EXPECT_FALSE(std::holds_alternative<TextEvent>(event)) << text;
      if (const auto* start = std::get_if<CallStartEvent>(&event)) read.push_back(call_of(start->name, ""));
      if (const auto* args = std::get_if<CallArgsEvent>(&event)) read.back().arguments += args->text;
      if (const auto* end = std::get_if<CallEndEvent>(&event)) {
        read.back().written_id = end->written_id;
        ++ends;
      }
    }
    EXPECT_GE(ends, 1U) << text;
    EXPECT_EQ(read.size(), ends) << text;
    for (const ToolCall& call : read) EXPECT_TRUE(parse_json(call.arguments).has_value()) << call.arguments;
  }
  EXPECT_GE(written, 3);
}

std::string family_name(const ::testing::TestParamInfo<Family>& info) {
  std::string name = info.param.source;
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, TaggedFamily, ::testing::ValuesIn(kFamilies), family_name);

// One byte at a time, a reader that looked at what it holds back again would need 10^12 steps for these.
TEST(TaggedReader, LooksAtEachByteOnce) {
  constexpr std::size_t kSize = 1'000'000;
  const Dialect& dialect = *find_dialect("minimax-m2");
  const std::string head = "<minimax:tool_call>\n<invoke name=\"read\">\n<parameter name=\"";
  ParserOptions options;
  options.tools = tools();
  for (const std::string& text :
       {head + "path\">" + std::string(kSize, 'x'), head + "path\">a</parameter>" + std::string(kSize, ' '),
        head + "how\">" + std::string(kSize, '<'), head + "how\">a</parameter>" + std::string(kSize, '\n'),
        head + std::string(kSize, 'k'), head + std::string(kSize, '"'), head + "path\"" + std::string(kSize, ' ')}) {
    const auto parser = make_parser(dialect, options);
    std::vector<Event> events;
    for (const char& c : text) parser->feed(std::string_view(&c, 1), events);
    parser->finish(events, TurnEnd::own);
    ASSERT_FALSE(events.empty());
    EXPECT_TRUE(std::holds_alternative<CallStartEvent>(events.front())) << text.substr(0, 100);
  }
}

}  // namespace
}  // namespace kvern::chat
