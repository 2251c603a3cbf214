#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "chat/dialect/dialect.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/parameter_types.h"

namespace kvern::chat {
namespace {

const Dialect& hermes() { return *find_dialect("hermes"); }
const Dialect& coder() { return *find_dialect("qwen3-coder"); }

// Shaped like the families' templates, in our own words.
constexpr const char* kJsonTemplate = R"({%- if tools %}{{- "\n<tools>" }}{%- endif %}
{{- '<tool_call>\n{"name": "' + call.name + '", "arguments": ' }})";
constexpr const char* kTaggedTemplate = R"({%- if tools is iterable %}{{- tools | tojson }}{%- endif %}
{{- '<tool_call>\n<function=' + call.name + '>\n' }}{{- '<parameter=' + key + '>\n' }}{{- '<think>\n</think>' }}
{{- '{"name": ..., "arguments": ...}' }})";

TEST(Records, AreFoundByName) {
  for (const Dialect* dialect : all_dialects()) EXPECT_EQ(find_dialect(dialect->name), dialect);
  EXPECT_EQ(find_dialect("Hermes"), nullptr);
}

TEST(Records, ATriggerBeginsEveryCall) {
  for (const Dialect* dialect : all_dialects()) {
    if (dialect->layout == Layout::channels) continue;
    const std::string begin = std::string(dialect->section_begin) + std::string(dialect->call_begin);
    EXPECT_TRUE(begin.starts_with(dialect->trigger)) << dialect->name;
  }
}

TEST(ChooseDialect, GoesByTheMarkersOfTheTemplate) {
  const Chosen json = choose_dialect(kJsonTemplate);
  EXPECT_EQ(json.dialect->name, "hermes");
  EXPECT_TRUE(json.knows_tools);
  EXPECT_FALSE(json.reasons);

  const Chosen tagged = choose_dialect(kTaggedTemplate);
  EXPECT_EQ(tagged.dialect->name, "qwen3-coder");
  EXPECT_TRUE(tagged.knows_tools);
  EXPECT_TRUE(tagged.reasons);
}

TEST(ChooseDialect, QuotesMayBeEscapedInTheTemplate) {
  EXPECT_TRUE(choose_dialect(R"({% if tools %}{{ "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}" }}{% endif %})")
                  .knows_tools);
}

// Our tools are then described in the system text, in the fallback's form.
TEST(ChooseDialect, FallsBackToHermesWithoutTools) {
  for (const char* source : {"", "{{ messages[0].content }}", "{{ '<tool_call>' }}{% for t in tools %}{% endfor %}",
                             // markers of no family we know
                             "{% if tools %}{{ '<my:tool_call><my:function=f><my:parameter=k>' }}{% endif %}",
                             "{% if tools %}{{ '<tool_call>' + name + '<arg_key>' }}{% endif %}"}) {
    const Chosen chosen = choose_dialect(source);
    EXPECT_EQ(chosen.dialect->name, "hermes") << source;
    EXPECT_FALSE(chosen.knows_tools) << source;
  }
}

TEST(ChooseDialect, OnlyTheVariableToolsCounts) {
  const std::string markers = R"({{ '<tool_call>{"name": "f", "arguments": {}}' }})";
  for (const char* code :
       {"{{ '<tools>' }}", "{% if xml_tools %}{% endif %}", "{{ message.tools }}", "{# tools #}", "tools"})
    EXPECT_FALSE(choose_dialect(markers + code).knows_tools) << code;
  for (const char* code : {"{% if tools %}", "{%- for t in tools -%}", "{{ tools|tojson }}", "{{ 'it''s' ~ tools }}"})
    EXPECT_TRUE(choose_dialect(markers + code).knows_tools) << code;
}

TEST(RenderCalls, WritesWhatTheHermesTemplatesWrite) {
  const std::vector<ToolCall> calls = {{"", "Edit", R"({"path":"a\"b",  "n":[1,2.50,{"x":null}]})"}, {"", "Now", ""}};
  EXPECT_EQ(render_calls(hermes(), calls),
            "<tool_call>\n{\"name\": \"Edit\", \"arguments\": {\"path\": \"a\\\"b\", \"n\": [1, 2.50, {\"x\": "
            "null}]}}\n</tool_call>\n"
            "<tool_call>\n{\"name\": \"Now\", \"arguments\": {}}\n</tool_call>");
}

TEST(RenderCalls, WritesWhatTheQwenCoderTemplatesWrite) {
  const std::vector<ToolCall> calls = {{"", "Edit", R"({"text":"a \"b\"\n\u00e9","n":3,"o":{"x":[1,2]}})"},
                                       {"", "Now", "{}"}};
  EXPECT_EQ(
      render_calls(coder(), calls),
      "<tool_call>\n<function=Edit>\n<parameter=text>\na \"b\"\n\u00e9\n</parameter>\n<parameter=n>\n3\n</parameter>\n"
      "<parameter=o>\n{\"x\": [1, 2]}\n</parameter>\n</function>\n</tool_call>\n"
      "<tool_call>\n<function=Now>\n</function>\n</tool_call>");
}

// Clients may send anything back; nothing of it is dropped.
TEST(RenderCalls, ShowsArgumentsThatAreNoObject) {
  const std::vector<ToolCall> calls = {{"", "f", "{\"a\": "}};
  EXPECT_NE(render_calls(hermes(), calls).find("{\"a\": "), std::string::npos);
  EXPECT_NE(render_calls(coder(), calls).find("{\"a\": "), std::string::npos);
}

TEST(DescribeTools, ShowsEachToolAndTheFormOfACall) {
  const std::vector<Tool> tools = {
      {"Edit", "Changes a \"file\".", R"({"type":"object","properties":{"p":{"type":"string"}}})"}};
  for (const Dialect* dialect : all_dialects()) {
    const std::string text = describe_tools(*dialect, tools);
    EXPECT_NE(text.find("\n{\"type\": \"function\", \"function\": {\"name\": \"Edit\", \"description\": \"Changes a "
                        "\\\"file\\\".\", \"parameters\": {\"type\": \"object\", \"properties\": {\"p\": {\"type\": "
                        "\"string\"}}}}}\n"),
              std::string::npos)
        << text;
    const ToolCall example{
        .id = "example", .name = "example_function", .arguments = R"({"example_parameter": "value"})"};
    EXPECT_NE(text.find(render_calls(*dialect, std::span(&example, 1))), std::string::npos) << dialect->name;
  }
}

TEST(SplitObject, KeepsValuesAsWritten) {
  const auto members = split_object(" { \"a\\n\" : 1.50 , \"b\": {\"c\": \"},\"}, \"d\":[ ] } ");
  ASSERT_TRUE(members.has_value());
  ASSERT_EQ(members->size(), 3U);
  EXPECT_EQ((*members)[0].key, "a\n");
  EXPECT_EQ((*members)[0].value, "1.50");
  EXPECT_EQ((*members)[1].value, "{\"c\": \"},\"}");
  EXPECT_EQ((*members)[2].value, "[ ]");
  EXPECT_FALSE(split_object("[1]").has_value());
  EXPECT_FALSE(split_object("{\"a\": 1").has_value());
  EXPECT_TRUE(split_object("{}")->empty());
}

TypeSet types(const char* property) {
  const std::string root =
      std::string(
          R"({"$defs":{"s":{"enum":["a","b"]},"loop":{"anyOf":[{"$ref":"#/$defs/loop"},{"$ref":"#/$defs/loop"}]}},"properties":{"p":)") +
      property + "}}";
  return parameter_types(parse_json(root).value(), "p");
}

TEST(ParameterTypes, ComeFromTheSchema) {
  EXPECT_EQ(types(R"({"type":"string"})"), kString);
  EXPECT_EQ(types(R"({"enum":["a","b"]})"), kString);
  EXPECT_EQ(types(R"({"type":["string","null"]})"), kString | kNull);
  EXPECT_EQ(types(R"({"anyOf":[{"type":"integer"},{"type":"string"}]})"), kNumber | kString);
  EXPECT_EQ(types(R"({"allOf":[{"type":["integer","string"]},{"type":"string"}]})"), kString);
  EXPECT_EQ(types(R"({"$ref":"#/$defs/s"})"), kString);
  EXPECT_EQ(types(R"({"$ref":"#/$defs/loop"})"), kAnyType);
  EXPECT_EQ(types(R"({"$ref":"#/$defs/none"})"), kAnyType);
  EXPECT_EQ(types("{}"), kAnyType);
  EXPECT_EQ(types("true"), kAnyType);
}

TEST(ParameterTypes, AreLookedForInCombinedSchemas) {
  const Json root = parse_json(R"({"allOf":[{"properties":{"a":{"type":"string"}}},{"$ref":"#/$defs/x"}],
      "$defs":{"x":{"properties":{"b":{"type":"array"}}}},"additionalProperties":{"type":"number"}})")
                        .value();
  EXPECT_EQ(parameter_types(root, "a"), kString);
  EXPECT_EQ(parameter_types(root, "b"), kArray);
  EXPECT_EQ(parameter_types(root, "c"), kNumber);
}

}  // namespace
}  // namespace kvern::chat
