#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/anthropic_messages.h"
#include "api/test_requests.h"
#include "base/json.h"

namespace kvern::api {
namespace {

using testing::expect_refused;
using testing::Refusal;

constexpr const char* kHello = R"("messages":[{"role":"user","content":"hello"}])";

Result<ChatRequest> ask_with(std::string_view fields) {
  return parse_messages_request(fmt::format("{{{}{}{}}}", kHello, fields.empty() ? "" : ",", fields));
}

// The messages of a conversation; tools may be referred to.
std::vector<Message> messages_of(std::string_view list, std::string_view fields = "") {
  const auto request =
      parse_messages_request(fmt::format(R"({{"messages":[{}]{}{}}})", list, fields.empty() ? "" : ",", fields));
  EXPECT_TRUE(request) << list << ": " << request.error().message;
  return request ? request->messages : std::vector<Message>();
}

std::string user_text(std::string_view content) {
  const auto messages = messages_of(fmt::format(R"({{"role":"user","content":{}}})", content));
  return messages.size() == 1 ? messages[0].content : "not one message";
}

TEST(MessagesRequest, EveryFieldHasItsPlace) {
  const auto request = ask_with(
      R"("model":"m","max_tokens":64,"temperature":0.5,"top_p":0.9,"top_k":3,"stop_sequences":["</block>"],"stream":true,
         "metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"s-1\"}"},"system":"Be brief.",
         "thinking":{"type":"enabled","budget_tokens":1024},"output_config":{"effort":"high"},
         "context_management":{"edits":[]},"safeguards":[{}],"anthropic_beta":["x"])");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->tokens_max, 64);
  EXPECT_FLOAT_EQ(request->sampling.temperature, 0.5F);
  EXPECT_EQ(request->sampling.top_k, 3);
  EXPECT_EQ(request->stops, std::vector<std::string>{"</block>"});
  EXPECT_TRUE(request->stream);
  EXPECT_EQ(request->session, "s-1");
  EXPECT_EQ(request->messages.at(0).role, Role::system);
  EXPECT_EQ(request->messages.at(0).content, "Be brief.");
  EXPECT_EQ(request->reasoning.tokens_max, 1024);
  EXPECT_EQ(request->reasoning.effort, "high");
}

TEST(MessagesRequest, ASessionMayBeAnyText) {
  EXPECT_EQ(ask_with(R"("metadata":{"user_id":"user_1"})")->session, "user_1");
  EXPECT_EQ(ask_with(R"("metadata":{"user_id":"{\"session_id\":5}"})")->session, "{\"session_id\":5}");
  EXPECT_EQ(ask_with(R"("metadata":{})")->session, "");
}

TEST(MessagesRequest, MaxTokensMayBeMissingOrNothing) {
  EXPECT_FALSE(ask_with("")->tokens_max);
  EXPECT_EQ(ask_with(R"("max_tokens":0)")->tokens_max, 0);
}

// Without a word on thinking these clients expect an answer that begins with text.
TEST(MessagesRequest, ThinkingIsAskedForOrNot) {
  EXPECT_EQ(ask_with("")->template_kwargs, R"({"enable_thinking":false,"thinking":false})");
  EXPECT_FALSE(ask_with("")->reasoning.tokens_max) << "a model that reasons all the same may";
  EXPECT_EQ(ask_with(R"("thinking":{"type":"adaptive","display":"omitted"})")->template_kwargs, "");
  EXPECT_EQ(ask_with(R"("thinking":{"type":"disabled"})")->reasoning.tokens_max, 0);
  EXPECT_EQ(ask_with(R"("thinking":{"type":"enabled","budget_tokens":2000})")->template_kwargs,
            R"({"enable_thinking":true,"thinking":true})");
}

TEST(MessagesRequest, BothSpellingsOfAnOutputFormatAreRead) {
  for (const char* fields : {R"("output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}})",
                             R"("output_format":{"type":"json_schema","schema":{"type":"object"}})"}) {
    const auto request = ask_with(fields);
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->format.kind, FormatKind::json_schema) << fields;
    EXPECT_EQ(request->format.schema, R"({"type":"object"})") << fields;
  }
}

TEST(MessagesRequest, WhatIsWrongIsNamed) {
  const auto refused = [](const Refusal& expected) { expect_refused(parse_messages_request(expected.text), expected); };
  refused({"{}", "messages", "a list of messages"});
  refused({R"({"messages":[]})", "messages", "at least one"});
  refused({R"({"messages":[{"role":"emperor","content":"x"}]})", "messages[0].role", "\"system\""});
  refused({R"({"messages":[{"role":"user"}]})", "messages[0].content", "a string or a list of blocks"});
  refused({R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})", "messages[0].content[0].text", "a string"});
  refused({R"({"messages":[{"role":"user","content":[{}]}]})", "messages[0].content[0].type", "a string"});
  refused({R"({"messages":[{"role":"user","content":[5]}]})", "messages[0].content[0]", "an object"});
  refused({R"({"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a"}]}]})",
           "messages[0].content[0].name", "a string"});
  const auto refused_field = [&](std::string_view fields, const std::string& field, const std::string& message) {
    refused({fmt::format("{{{},{}}}", kHello, fields), field, message});
  };
  refused_field(R"("system":5)", "system", "a string or a list of blocks");
  refused_field(R"("max_tokens":-1)", "max_tokens", "a whole number");
  refused_field(R"("stop_sequences":[1])", "stop_sequences[0]", "a string");
  refused_field(R"("thinking":{"type":"maybe"})", "thinking.type", "\"adaptive\"");
  refused_field(R"("metadata":{"user_id":7})", "metadata.user_id", "a string");
  refused_field(R"("output_config":{"format":{"type":"xml"}})", "output_config.format.type", "json_schema");
}

TEST(MessagesContent, AStringAndOneTextBlockAreTheSame) {
  EXPECT_EQ(user_text(R"("hello")"), "hello");
  EXPECT_EQ(user_text(R"([{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}])"), "hello");
  EXPECT_EQ(user_text(R"([{"type":"text","text":""},{"type":"text","text":"hello"}])"), "hello");
  EXPECT_EQ(user_text(R"([{"type":"text","text":"a"},{"type":"text","text":"b"}])"), "a\n\nb");
  const auto system = messages_of(R"({"role":"user","content":"x"})",
                                  R"("system":[{"type":"text","text":"a"},{"type":"text","text":"b"}])");
  EXPECT_EQ(system.at(0).content, "a\n\nb");
}

// One block that is refused would make every later request of its session fail.
TEST(MessagesContent, WhatIsNoTextSaysWhatItWas) {
  EXPECT_EQ(user_text(R"([{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}])"),
            "[image: this model reads text only]");
  EXPECT_EQ(user_text(R"([{"type":"document","title":"T","source":{"type":"text","data":"words"}}])"), "T\n\nwords");
  EXPECT_EQ(user_text(R"([{"type":"document","source":{"type":"content","content":[{"type":"text","text":"w"}]}}])"),
            "w");
  EXPECT_EQ(user_text(R"([{"type":"document","source":{"type":"url","url":"http://a/b.pdf"}}])"),
            "[document http://a/b.pdf: this model reads text only]");
  EXPECT_EQ(user_text(R"([{"type":"document"}])"), "[document: this model reads text only]");
  EXPECT_EQ(user_text(R"([{"type":"search_result","title":"T","source":"S","content":[{"type":"text","text":"w"}]}])"),
            "T (S)\n\nw");
  EXPECT_EQ(user_text(R"([{"type":"hologram","data":[1]}])"), "[hologram: this model reads text only]");
  EXPECT_EQ(user_text(R"([{"type":"compaction","content":"a summary"}])"), "a summary");
}

TEST(MessagesContent, AnAssistantTurnIsPutTogetherAgain) {
  const auto messages = messages_of(
      R"({"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
          {"type":"redacted_thinking","data":"x"},{"type":"text","text":"Let "},{"type":"text","text":"me."},
          {"type":"tool_use","id":"toolu_1","name":"run","input":{"b":1,"a":{"c":[]}}},
          {"type":"tool_use","id":"toolu_2","name":"stop","input":{}}]})");
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].reasoning, "hm");
  EXPECT_EQ(messages[0].content, "Let me.");
  ASSERT_EQ(messages[0].tool_calls.size(), 2U);
  EXPECT_EQ(messages[0].tool_calls[0].id, "toolu_1");
  EXPECT_EQ(messages[0].tool_calls[0].arguments, R"({"b":1,"a":{"c":[]}})") << "compact, keys in their order";
  EXPECT_EQ(messages[0].tool_calls[1].arguments, "{}");
}

// Then it is the very call that was generated, and its tokens are known.
TEST(MessagesContent, ArgumentsAClientCouldNotParseAreTheModelsText) {
  const auto messages = messages_of(
      R"({"role":"assistant","content":[{"type":"tool_use","id":"t","name":"run",
          "input":{"__unparsedToolInput":{"raw":"{\"path\": ","len":9}}}]})");
  EXPECT_EQ(messages.at(0).tool_calls.at(0).arguments, "{\"path\": ");
  const auto ours = messages_of(
      R"({"role":"assistant","content":[{"type":"tool_use","id":"t","name":"run","input":{},"unparsed_input":"{\"a"}]})");
  EXPECT_EQ(ours.at(0).tool_calls.at(0).arguments, "{\"a");
}

TEST(MessagesContent, ResultsComeBeforeTheTextOfTheirMessage) {
  const auto messages = messages_of(
      R"({"role":"user","content":[{"type":"text","text":"go on"},
          {"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"two"},{"type":"image"}]},
          {"type":"tool_result","tool_use_id":"a","content":"boom","is_error":true},
          {"type":"tool_result","tool_use_id":"c"},{"type":"text","text":"please"}]})");
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].role, Role::tool);
  EXPECT_EQ(messages[0].tool_call_id, "b");
  EXPECT_EQ(messages[0].content, "two\n\n[image: this model reads text only]");
  EXPECT_EQ(messages[1].content, "[error] boom");
  EXPECT_EQ(messages[2].content, "");
  EXPECT_EQ(messages[3].role, Role::user);
  EXPECT_EQ(messages[3].content, "go on\n\nplease");
}

TEST(MessagesContent, ASystemMessageStaysWhereItIs) {
  const auto messages = messages_of(
      R"({"role":"user","content":"a"},{"role":"system","content":[{"type":"text","text":"b"}]},
         {"role":"assistant","content":[]},{"role":"system","content":"c"})",
      R"("system":"head")");
  ASSERT_EQ(messages.size(), 5U);
  EXPECT_EQ(messages[2].role, Role::system);
  EXPECT_EQ(messages[2].content, "b");
  EXPECT_EQ(messages[4].content, "c");
}

constexpr const char* kTools =
    R"("tools":[{"name":"Bash","description":"runs","input_schema":{"type":"object"}},
        {"name":"Fetch","description":"gets \"it\"","input_schema":{"type":"object","properties":{"u":{}}},"defer_loading":true},
        {"name":"Placeholder","input_schema":{"type":"object"},"defer_loading":true}])";

std::vector<std::string> names_of(const std::vector<Tool>& tools) {
  std::vector<std::string> names;
  for (const Tool& tool : tools) names.push_back(tool.name + (tool.deferred ? " (deferred)" : ""));
  return names;
}

TEST(MessagesTools, ADeferredToolIsCallableOnceAResultShowsIt) {
  EXPECT_EQ(names_of(ask_with(kTools)->tools), std::vector<std::string>{"Bash"});
  const auto request = parse_messages_request(fmt::format(
      R"({{"messages":[{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":[
          {{"type":"tool_reference","tool_name":"Fetch"}},{{"type":"tool_reference","tool_name":"Gone"}},
          {{"type":"text","text":"done"}}]}}]}}],{}}})",
      kTools));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(names_of(request->tools), (std::vector<std::string>{"Bash", "Fetch (deferred)"}));
  EXPECT_EQ(
      request->messages.at(0).content,
      "<functions>\n"
      R"(<function>{"description":"gets \"it\"","name":"Fetch","parameters":{"type":"object","properties":{"u":{}}}}</function>)"
      "\n[the tool Gone is not available]\n</functions>\n\ndone");
}

TEST(MessagesTools, AChangeOfToolsInTheConversationIsSaidThere) {
  const auto request = parse_messages_request(fmt::format(
      R"({{"messages":[{{"role":"system","content":[{{"type":"tool_addition","tool":{{"type":"tool_reference","name":"Fetch"}}}},
          {{"type":"tool_removal","tool":{{"type":"tool_reference","name":"Bash"}}}}]}}],{}}})",
      kTools));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(names_of(request->tools), (std::vector<std::string>{"Bash", "Fetch (deferred)"}));
  EXPECT_TRUE(request->messages.at(0).content.ends_with("[the tool Bash is no longer available]"));
}

TEST(MessagesTools, ToolsOfAnthropicsServersAreNoFunctions) {
  const char* search = R"("tools":[{"type":"web_search_20250305","name":"web_search","max_uses":8}])";
  for (const char* choice : {R"({"type":"auto"})", R"({"type":"any"})", R"({"type":"tool","name":"web_search"})"}) {
    const auto request = ask_with(fmt::format("{},\"tool_choice\":{}", search, choice));
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_TRUE(request->tools.empty()) << choice;
    EXPECT_NE(request->tool_choice.use, ToolUse::required) << choice;
  }
}

TEST(MessagesTools, AnthropicsClientToolsGetASchema) {
  const auto request = ask_with(
      R"("tools":[{"type":"bash_20250124","name":"bash"},{"type":"text_editor_20250728","name":"str_replace_based_edit_tool"},
          {"type":"memory_20250818","name":"memory"},{"type":"computer_20251124","name":"computer","display_width_px":9},
          {"type":"computer_toolset_20260801"},{"type":"code_execution_20250825","name":"code_execution"}])");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(names_of(request->tools),
            (std::vector<std::string>{"bash", "str_replace_based_edit_tool", "memory", "computer"}));
  for (const Tool& tool : request->tools) {
    const auto schema = parse_json(tool.parameters);
    ASSERT_TRUE(schema) << tool.name << schema.error().message;
    EXPECT_EQ(schema->at("type"), "object") << tool.name;
    EXPECT_FALSE(tool.description.empty()) << tool.name;
  }
}

TEST(MessagesTools, EveryChoiceIsRead) {
  const auto choose = [](const char* choice) { return ask_with(fmt::format("{},\"tool_choice\":{}", kTools, choice)); };
  EXPECT_EQ(choose(R"({"type":"auto"})")->tool_choice.use, ToolUse::automatic);
  EXPECT_EQ(choose(R"({"type":"none"})")->tool_choice.use, ToolUse::none);
  EXPECT_EQ(choose(R"({"type":"any"})")->tool_choice.use, ToolUse::required);
  EXPECT_EQ(choose(R"({"type":"tool","name":"Bash"})")->tool_choice.name, "Bash");
  EXPECT_TRUE(choose(R"({"type":"any"})")->parallel_tool_calls);
  EXPECT_FALSE(choose(R"({"type":"auto","disable_parallel_tool_use":true})")->parallel_tool_calls);
  EXPECT_EQ(choose(R"({"type":"tool","name":"Fetch"})").error().field, "tool_choice.name") << "not loaded yet";
  EXPECT_EQ(choose(R"({"type":"some"})").error().field, "tool_choice.type");
  EXPECT_EQ(ask_with(R"("tool_choice":{"type":"any"})").error().field, "tool_choice.type");
}

TEST(MessagesTools, AWrongToolIsNamed) {
  EXPECT_EQ(ask_with(R"("tools":[{"name":"a b","input_schema":{}}])").error().field, "tools[0].name");
  EXPECT_EQ(ask_with(R"("tools":[{"name":"a"}])").error().field, "tools[0].input_schema");
  EXPECT_EQ(ask_with(R"("tools":[{"type":"function","name":"a"}])").error().field, "tools[0].input_schema");
  EXPECT_EQ(ask_with(R"("tools":[{"type":"function","function":{"name":"a"}}])").error().field, "tools[0].name");
  EXPECT_EQ(ask_with(R"("tools":[{"name":"a","input_schema":{}},{"name":"a","input_schema":{}}])").error().field,
            "tools[1].name");
}

}  // namespace
}  // namespace kvern::api
