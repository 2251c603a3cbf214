// The families that write arguments as JSON: what their grammars allow, that the parser reads it and the
// renderer writes it again, and that their own templates write the same.
#include <gtest/gtest.h>

#include "chat/dialect/records.h"
#include "chat/dialect/test_grammar.h"
#include "chat/dialect/test_parse.h"
#include "chat/dialect/test_templates.h"

namespace kvern::chat {
namespace {

using testing::Grammar;

std::vector<const Dialect*> json_families() {
  std::vector<const Dialect*> families;
  for (const auto records : {marked_json_records(), json_records()})
    for (const Dialect& record : records) families.push_back(&record);
  return families;
}

std::vector<Tool> tools() {
  std::vector<Tool> list(2);
  list[0].name = "read";
  list[0].parameters = R"({"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"}},
      "required":["path"],"additionalProperties":false})";
  list[1].name = "now";
  list[1].parameters = R"({"type":"object","properties":{},"additionalProperties":false})";
  return list;
}

ToolCall call(std::string name, std::string arguments) {
  return {.id = "Abc123xyz", .name = std::move(name), .arguments = std::move(arguments), .written_id = {}};
}

const ToolCall kRead = call("read", R"({"path": "a </tool_cal> ] } [\"b\"] é 🙂", "limit": 5})");
const ToolCall kNow = call("now", "{}");

std::string written(const Dialect& dialect, const std::vector<ToolCall>& calls) { return render_calls(dialect, calls); }

// The tags in the record's texts, as a model's vocabulary may have them.
std::vector<std::string> tags_of(const Dialect& dialect) {
  std::vector<std::string> tags;
  for (std::string_view text : {dialect.section_begin, dialect.call_begin, dialect.id_mark, dialect.name_end,
                                dialect.call_end, dialect.section_end, dialect.text_begin, dialect.text_end}) {
    for (; !text.empty(); text.remove_prefix(1)) {
      const char close = text.front() == '<' ? '>' : text.front() == '[' ? ']' : '\0';
      const std::size_t end = close == '\0' ? std::string_view::npos : text.find(close);
      if (end == std::string_view::npos) continue;
      if (text.substr(0, end).find_first_of("{\n ") != std::string_view::npos) continue;
      tags.emplace_back(text.substr(0, end + 1));
      text.remove_prefix(end);
    }
  }
  return tags;
}

ChatRequest request() {
  ChatRequest made;
  made.tools = tools();
  return made;
}

std::vector<ToolCall> read_back(const Dialect& dialect, const std::string& text) {
  ParserOptions options;
  options.tools = tools();
  std::vector<ToolCall> calls;
  for (const Event& event : testing::parse(dialect, options, {text})) {
    if (const auto* start = std::get_if<CallStartEvent>(&event)) calls.push_back(call(start->name, ""));
    if (const auto* piece = std::get_if<CallArgsEvent>(&event)) calls.back().arguments += piece->text;
    if (const auto* end = std::get_if<CallEndEvent>(&event)) calls.back().written_id = end->written_id;
  }
  return calls;
}

TEST(JsonFamilies, GrammarsAllowValidCallsWithAndWithoutTheFamilysOwnTokens) {
  for (const Dialect* dialect : json_families()) {
    for (const bool with_tags : {false, true}) {
      const Grammar grammar(*dialect, request(), false, false,
                            with_tags ? tags_of(*dialect) : std::vector<std::string>());
      for (const auto& calls : {std::vector{kRead}, std::vector{kNow}, std::vector{kNow, kRead}}) {
        if (calls.size() > 1 && !dialect->parallel) continue;
        EXPECT_TRUE(grammar.accepts(written(*dialect, calls))) << dialect->name << written(*dialect, calls);
      }
      EXPECT_TRUE(grammar.accepts("Just text.")) << dialect->name;
      const std::string marked = std::string(dialect->text_begin) + "Look." + std::string(dialect->text_end);
      if (!dialect->whole_turn) {
        EXPECT_TRUE(grammar.accepts(marked + std::string(dialect->text_separator) + written(*dialect, {kRead})))
            << dialect->name;
      }
    }
  }
}

TEST(JsonFamilies, GrammarsRefuseInvalidCallsAndWhatFollowsCalls) {
  for (const Dialect* dialect : json_families()) {
    const Grammar grammar(*dialect, request(), false, false, tags_of(*dialect));
    const std::string whole = written(*dialect, {kRead});
    const std::string unknown = written(*dialect, {call("rm", "{}")});
    if (!dialect->whole_turn) {
      EXPECT_EQ(grammar.allowed(unknown), unknown.find("rm") + 1) << dialect->name;
    }
    EXPECT_LT(grammar.allowed(written(*dialect, {call("read", "{}")})), whole.size()) << dialect->name;
    EXPECT_LT(grammar.allowed(written(*dialect, {call("read", R"({"path": 5})")})), whole.size()) << dialect->name;
    EXPECT_EQ(grammar.allowed(whole + "Done"), whole.size()) << dialect->name;
  }
}

TEST(JsonFamilies, ARequiredCallComesAtOnce) {
  for (const Dialect* dialect : json_families()) {
    ChatRequest must = request();
    must.tool_choice.use = ToolUse::required;
    must.tool_choice.name = "now";
    const Grammar grammar(*dialect, must, false, false, tags_of(*dialect));
    EXPECT_TRUE(grammar.accepts(written(*dialect, {kNow}))) << dialect->name;
    EXPECT_EQ(grammar.allowed("Sure"), 0U) << dialect->name;
    EXPECT_LT(grammar.allowed(written(*dialect, {kNow, kNow})), written(*dialect, {kNow}).size() + 1) << dialect->name;
  }
}

TEST(JsonFamilies, WhatTheParserReadsIsRenderedAgainByteForByte) {
  for (const Dialect* dialect : json_families()) {
    std::vector<ToolCall> calls = {kRead, kNow};
    calls.resize(dialect->parallel ? 2 : 1);
    const std::string text = written(*dialect, calls);
    const std::vector<ToolCall> read = read_back(*dialect, text);
    ASSERT_EQ(read.size(), calls.size()) << dialect->name << text;
    EXPECT_EQ(read[0].arguments, kRead.arguments) << dialect->name;
    EXPECT_EQ(written(*dialect, read), text) << dialect->name;
  }
}

TEST(JsonFamilies, IdsAreThoseTheModelWrote) {
  const auto ids = [](const char* name, const std::string& text) {
    std::string out;
    for (const ToolCall& one : read_back(*find_dialect(name), text)) out += one.written_id + " ";
    return out;
  };
  EXPECT_EQ(ids("mistral-v3", R"([TOOL_CALLS][{"name": "now", "arguments": {}, "id": "123456789"}])"), "123456789 ");
  EXPECT_EQ(ids("mistral-small-3.2", "[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}"), "abcdefghi ");
  EXPECT_EQ(ids("kimi-k2",
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.now:7<|tool_call_argument_begin|>"
                "{}<|tool_call_end|><|tool_calls_section_end|>"),
            "functions.now:7 ");
  EXPECT_EQ(ids("command-r7b",
                "<|START_ACTION|>[\n    {\"tool_call_id\": \"3\", \"tool_name\": \"now\", "
                "\"parameters\": {}}\n]<|END_ACTION|>"),
            "3 ");
  EXPECT_EQ(ids("solar",
                "<|tool_calls|><|tool_call:begin|>call_9-x<|tool_call:name|>now<|tool_call:args|>{}"
                "<|tool_call:end|>"),
            "call_9-x ");
}

// Llama's calls have no mark of their own: only an object that begins like a call of a tool is one.
TEST(JsonFamilies, LlamaMayAnswerWithAnyOtherJson) {
  const Dialect& llama = *find_dialect("llama3");
  for (const auto& controls : {std::vector<std::string>(), std::vector<std::string>{"<|python_tag|>"}}) {
    const Grammar grammar(llama, request(), false, false, controls);
    for (const char* text : {R"({"answer": 42})", R"({"name": "reader", "parameters": [1]})", R"({"name": 5})",
                             R"(It is {"name": "read", "parameters": {}})"})
      EXPECT_TRUE(grammar.accepts(text)) << text;
    for (const std::string lead :
         {R"({)", R"({"type": "function", )", R"(<|python_tag|>{)", R"(<|python_tag|>{"type": "function", )"}) {
      EXPECT_TRUE(grammar.accepts(lead + R"("name": "now", "parameters": {}})")) << lead;
      EXPECT_FALSE(grammar.accepts(lead + R"("name": "read", "parameters": {}})")) << lead;
      EXPECT_FALSE(grammar.accepts(lead + R"("name": "now", "arguments": {}})")) << lead;
    }
  }
}

struct Written {
  const char* dialect;
  const char* source;  // the name of a template
};

class OwnTemplate : public ::testing::TestWithParam<Written> {};

TEST_P(OwnTemplate, WritesTheCallsAsTheRecordDoes) {
  const std::string source = testing::template_source(GetParam().source);
  if (source.empty()) GTEST_SKIP() << "no llama.cpp source here";
  const Dialect& dialect = *find_dialect(GetParam().dialect);
  bool found = false;
  for (const CallProbe& probe : testing::probes_of(source)) {
    for (const bool nine : {true, false}) {
      std::vector<ToolCall> calls = probe_calls(nine);
      if (!dialect.parallel) calls.resize(1);
      const std::string_view shown = dialect.parallel ? probe.two : probe.one;
      found = found || shown.find(render_calls(dialect, calls)) != std::string::npos;
    }
  }
  EXPECT_TRUE(found) << render_calls(dialect, probe_calls(true));
}

INSTANTIATE_TEST_SUITE_P(
    JsonFamilies, OwnTemplate,
    ::testing::Values(
        Written{"llama3", "meta-llama-Llama-3.1-8B-Instruct"}, Written{"llama3", "meta-llama-Llama-3.2-3B-Instruct"},
        Written{"llama3", "meta-llama-Llama-3.3-70B-Instruct"},
        Written{"mistral-v3", "mistralai-Mistral-Nemo-Instruct-2407"},
        Written{"mistral-small-3.2", "Mistral-Small-3.2-24B-Instruct-2506"},
        Written{"mistral-v11", "unsloth-mistral-Devstral-Small-2507"},
        Written{"mistral-v11", "mistralai-Ministral-3-14B-Reasoning-2512"},
        Written{"deepseek-r1", "deepseek-ai-DeepSeek-R1-Distill-Llama-8B"},
        Written{"deepseek-r1", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"},
        Written{"deepseek-r1", "llama-cpp-deepseek-r1"}, Written{"deepseek-v3.1", "deepseek-ai-DeepSeek-V3.1"},
        Written{"kimi-k2", "Kimi-K2-Instruct"}, Written{"kimi-k2", "Kimi-K2-Thinking"},
        Written{"kimi-k2", "moonshotai-Kimi-K2"}, Written{"nemotron-v2", "NVIDIA-Nemotron-Nano-v2"},
        Written{"command-r7b", "CohereForAI-c4ai-command-r7b-12-2024-tool_use"}, Written{"command-moe", "Cohere2MoE"},
        Written{"minimax-m1", "MiniMax-M1"}, Written{"apriel", "unsloth-Apriel-1.5"},
        Written{"apriel", "Apriel-1.6-15b-Thinker-fixed"}, Written{"gigachat", "GigaChat3.1-10B-A1.8B"},
        Written{"reka", "Reka-Edge"}, Written{"functionary-v3.1", "meetkai-functionary-medium-v3.1"},
        Written{"apertus", "Apertus-8B-Instruct"}, Written{"solar", "upstage-Solar-Open-100B"},
        Written{"hermes", "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use"},
        Written{"hermes", "Qwen-Qwen2.5-7B-Instruct"}, Written{"hermes", "Qwen-Qwen3-0.6B"},
        Written{"hermes", "ibm-granite-granite-4.0"}, Written{"hermes", "MiMo-VL"}),
    [](const auto& test) {
      std::string name = test.param.source;
      std::replace_if(
          name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
      return name;
    });

}  // namespace
}  // namespace kvern::chat
