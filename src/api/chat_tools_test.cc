#include <vector>

#include "api/test_requests.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

using testing::expect_refused;
using testing::parse_with;
using testing::Refusal;

TEST(ChatTools, ToolsKeepTheirOrderAndTheirSchemasTheirKeys) {
  const auto request = parse_with(R"("tools":[
    {"type":"function","function":{"name":"mcp.a/b:c-1_X","description":"does","strict":true,
      "parameters":{"type":"object","properties":{"z":{},"a":{}}}}},
    {"type":"web_search","anything":1},
    {"type":"function","function":{"name":"now","description":null}}])");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->tools.size(), 2U) << "nobody here can call a web search";
  EXPECT_EQ(request->tools[0].name, "mcp.a/b:c-1_X");
  EXPECT_EQ(request->tools[0].description, "does");
  EXPECT_EQ(request->tools[0].parameters, R"({"type":"object","properties":{"z":{},"a":{}}})");
  EXPECT_EQ(request->tools[1].parameters, "{}");
}

constexpr const char* kThreeTools = R"("tools":[{"type":"function","function":{"name":"a"}},
  {"type":"function","function":{"name":"b"}},{"type":"custom","custom":{"name":"p"}}])";

TEST(ChatTools, EveryFormOfToolChoiceIsUnderstood) {
  struct Case {
    const char* choice;
    ToolUse use;
    const char* name;
    std::vector<std::string> allowed = {};
  };
  for (const Case& c :
       std::initializer_list<Case>{{R"("auto")", ToolUse::automatic, ""},
                                   {R"("none")", ToolUse::none, ""},
                                   {R"("required")", ToolUse::required, ""},
                                   {R"("any")", ToolUse::required, ""},
                                   {R"({"type":"function","function":{"name":"b"}})", ToolUse::required, "b"},
                                   {R"({"type":"function","name":"b"})", ToolUse::required, "b"},
                                   {R"({"type":"custom","custom":{"name":"p"}})", ToolUse::required, "p"},
                                   {R"({"type":"custom","name":"p"})", ToolUse::required, "p"},
                                   {R"({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[
               {"type":"function","function":{"name":"b"}}]}})",
                                    ToolUse::required,
                                    "",
                                    {"b"}},
                                   {R"({"type":"allowed_tools","mode":"auto","tools":[{"type":"custom","name":"p"},
               {"type":"function","name":"a"},{"name":"a"},{"type":"web_search"}]})",
                                    ToolUse::automatic,
                                    "",
                                    {"a", "p"}},
                                   {R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[
               {"type":"custom","custom":{"name":"p"}},{"type":"function","function":{"name":"b"}},
               {"type":"function","function":{"name":"a"}}]}})",
                                    ToolUse::automatic, ""},
                                   {R"({"type":"allowed_tools","mode":"auto","tools":[]})", ToolUse::none, ""}}) {
    const auto request = parse_with(fmt::format("{},\"tool_choice\":{}", kThreeTools, c.choice));
    ASSERT_TRUE(request) << c.choice << ": " << request.error().message;
    EXPECT_EQ(request->tool_choice.use, c.use) << c.choice;
    EXPECT_EQ(request->tool_choice.name, c.name) << c.choice;
    EXPECT_EQ(request->tool_choice.allowed, c.allowed) << c.choice << ": in the order of the tools";
  }
}

TEST(ChatTools, ACustomToolIsAFunctionOfOneTextThatSaysWhatItsTextIs) {
  const auto request = parse_with(R"("tools":[
    {"type":"custom","custom":{"name":"patch","description":"Edits files.","format":{"type":"grammar",
      "grammar":{"syntax":"lark","definition":"start: \"x\"+"}}}},
    {"type":"custom","name":"shell","format":{"type":"text"}},
    {"type":"custom","custom":{"name":"date","format":{"type":"grammar","syntax":"regex","definition":"[0-9-]+"}}}])");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->tools.size(), 3U);
  for (const Tool& tool : request->tools) {
    EXPECT_TRUE(tool.custom);
    EXPECT_EQ(tool.parameters, kCustomParameters);
  }
  EXPECT_EQ(request->tools[0].input.syntax, TextSyntax::lark);
  EXPECT_EQ(request->tools[0].input.definition, "start: \"x\"+");
  EXPECT_EQ(request->tools[0].description,
            "Edits files.\n`input` is raw text that matches this Lark grammar:\nstart: \"x\"+");
  EXPECT_EQ(request->tools[1].input.syntax, TextSyntax::any);
  EXPECT_EQ(request->tools[1].description, "`input` is raw text.");
  EXPECT_EQ(request->tools[2].input.syntax, TextSyntax::regex);
  EXPECT_EQ(request->tools[2].description, "`input` is raw text that matches this regular expression:\n[0-9-]+");
}

TEST(ChatTools, AGrammarTooLongToShowIsStillTheToolsGrammar) {
  const std::string rule(100'000, 'x');
  const auto request = parse_with(fmt::format(
      R"("tools":[{{"type":"custom","name":"a","format":{{"type":"grammar","syntax":"regex","definition":"{}"}}}}])",
      rule));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->tools[0].input.definition, rule);
  EXPECT_LT(request->tools[0].description.size(), 200U);
  expect_refused(parse_with(fmt::format(R"("tools":[{{"type":"custom","name":"a","format":{{"type":"grammar",
      "syntax":"regex","definition":"{}"}}}}])",
                                        std::string(limits::kTextRuleBytes + 1, 'x'))),
                 {"rule", "tools[0].format.definition", "the rule has", Code::too_large});
}

TEST(ChatTools, LegacyFunctionsAreTools) {
  const auto request = parse_with(R"("functions":[{"name":"f","parameters":{"a":1}}],"function_call":{"name":"f"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->tools.at(0).name, "f");
  EXPECT_EQ(request->tools.at(0).parameters, R"({"a":1})");
  EXPECT_EQ(request->tool_choice.use, ToolUse::required);
  EXPECT_EQ(request->tool_choice.name, "f");
}

// One bad definition among the tools of many servers must not end the conversation.
TEST(ChatTools, ParametersThatAreNoObjectAreNoneAndTheToolSaysSo) {
  for (const auto& [parameters, kind] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"true", "a boolean"}, {"\"none\"", "a string"}, {"[1]", "a list"}, {"5", "a number"}}) {
    const auto request =
        parse_with(fmt::format(R"("tools":[{{"function":{{"name":"a","parameters":{}}}}}])", parameters));
    ASSERT_TRUE(request) << request.error().message;
    const Tool& tool = request->tools.at(0);
    EXPECT_EQ(tool.parameters, "{}");
    EXPECT_EQ(tool.parameters_fault, fmt::format("tools[0].function.parameters: expected an object, found {}", kind));
  }
  const auto absent = parse_with(R"("tools":[{"function":{"name":"a","parameters":null}}])");
  ASSERT_TRUE(absent) << absent.error().message;
  EXPECT_EQ(absent->tools.at(0).parameters_fault, "");
}

TEST(ChatTools, AWrongToolOrChoiceIsNamed) {
  const auto with_tools = [](std::string_view choice) {
    return fmt::format("{},\"tool_choice\":{}", kThreeTools, choice);
  };
  for (const Refusal& refusal : std::initializer_list<Refusal>{
           {R"("tools":{})", "tools", "expected a list, found an object"},
           {R"("tools":["x"])", "tools[0]", "expected an object, found a string"},
           {R"("tools":[{"type":"function"}])", "tools[0].function", "expected an object, found nothing"},
           {R"("tools":[{"function":{}}])", "tools[0].function.name", "found nothing"},
           {R"("tools":[{"function":{"name":""}}])", "tools[0].function.name", "1 to 128"},
           {R"("tools":[{"function":{"name":"a b"}}])", "tools[0].function.name", "found \"a b\""},
           {R"("tools":[{"function":{"name":"a"}},{"function":{"name":"a"}}])", "tools[1].function.name",
            "two tools are named \"a\""},
           {R"("tools":[{"type":"custom"}])", "tools[0].name", "found nothing"},
           {R"("tools":[{"type":"custom","custom":{"name":"a b"}}])", "tools[0].custom.name", "found \"a b\""},
           {R"("tools":[{"function":{"name":"a"}},{"type":"custom","custom":{"name":"a"}}])", "tools[1].custom.name",
            "two tools are named \"a\""},
           {R"("tools":[{"type":"custom","name":"a","format":{"type":"xml"}}])", "tools[0].format.type",
            "found \"xml\""},
           {R"("tools":[{"type":"custom","name":"a","format":{"type":"grammar","syntax":"abnf","definition":"x"}}])",
            "tools[0].format.syntax", "found \"abnf\""},
           {R"("tools":[{"type":"custom","custom":{"name":"a","format":{"type":"grammar",
              "grammar":{"syntax":"lark"}}}}])",
            "tools[0].custom.format.grammar.definition", "found nothing"},
           {R"("tools":[{"type":"custom","name":"a","format":{"type":"grammar","syntax":"lark","definition":""}}])",
            "tools[0].format.definition", "must not be empty"},
           {R"("tool_choice":"required")", "tool_choice", "needs at least one function"},
           {R"("tools":[{"type":"web_search"}],"tool_choice":"required")", "tool_choice",
            "needs at least one function"},
           {R"("tool_choice":"always")", "tool_choice", "found \"always\""},
           {R"("tool_choice":1)", "tool_choice", "expected a string or an object, found a number"},
           {with_tools(R"({"type":"function","function":{"name":"c"}})"), "tool_choice.function.name",
            "no tool is named \"c\""},
           {with_tools(R"({"type":"function"})"), "tool_choice.name", "found nothing"},
           {with_tools(R"({"type":"custom","custom":{"name":"c"}})"), "tool_choice.custom.name", "no tool is named"},
           {with_tools(R"({"type":"mcp","name":"a"})"), "tool_choice.type", "found \"mcp\""},
           {with_tools(R"({"type":"allowed_tools","mode":"required","tools":[]})"), "tool_choice.tools",
            "no tool is allowed, but one is required"},
           {with_tools(R"({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"mcp"}]}})"),
            "tool_choice.allowed_tools.tools", "no tool is allowed"},
           {with_tools(R"({"type":"allowed_tools","mode":"some","tools":[]})"), "tool_choice.mode", "found \"some\""},
           {with_tools(R"({"type":"allowed_tools","tools":[]})"), "tool_choice.mode", "found nothing"},
           {with_tools(R"({"type":"allowed_tools","mode":"auto"})"), "tool_choice.tools", "expected a list of tools"},
           {with_tools(R"({"type":"allowed_tools","mode":"auto","tools":[{"name":"c"}]})"), "tool_choice.tools[0].name",
            "no tool is named"}})
    expect_refused(parse_with(refusal.text), refusal);
}

}  // namespace
}  // namespace kvern::api
