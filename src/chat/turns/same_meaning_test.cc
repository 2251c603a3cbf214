#include "chat/turns/same_meaning.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "chat/turns/json_value.h"

namespace kvern::chat {
namespace {

const std::vector<Tool> kTools = {{"f", "",
                                   R"({"type": "object", "$defs": {"count": {"type": "integer"}}, "properties": {
         "timeout": {"type": "number"}, "flag": {"type": "boolean"}, "path": {"type": "string"},
         "either": {"type": ["string", "integer"]}, "list": {"type": "array", "items": {"type": "integer"}},
         "inner": {"type": "object", "properties": {"n": {"$ref": "#/$defs/count"}}}}})"}};

Message calling(std::string arguments, std::string content = {}, std::string reasoning = {}) {
  Message message;
  message.role = Role::assistant;
  message.content = std::move(content);
  message.reasoning = std::move(reasoning);
  message.tool_calls.push_back({"call_1", "f", std::move(arguments)});
  return message;
}

Message saying(std::string content, std::string reasoning = {}) {
  Message message = calling("", std::move(content), std::move(reasoning));
  message.tool_calls.clear();
  return message;
}

bool same(std::string lived, std::string sent) {
  return same_meaning(calling(std::move(lived)), calling(std::move(sent)), kTools);
}

TEST(SameMeaning, SpellingOfArgumentsIsFree) {
  EXPECT_TRUE(same(R"({"a": 1, "b": [true, null]})", R"({ "b":[true,null],"a":1 })"));
  EXPECT_TRUE(same(R"({"a": "caf\u00e9 \/"})", "{\"a\": \"caf\xC3\xA9 /\"}"));
  EXPECT_TRUE(same(R"({"a": {"x": 1, "y": 2}})", R"({"a": {"y": 2, "x": 1}})"));
  EXPECT_TRUE(same("", "{}"));
}

TEST(SameMeaning, ADifferenceInArgumentsIsADifference) {
  EXPECT_FALSE(same(R"({"a": 1})", R"({"a": 2})"));
  EXPECT_FALSE(same(R"({"a": 1})", R"({"a": 1, "b": null})"));
  EXPECT_FALSE(same(R"({"a": [1, 2]})", R"({"a": [2, 1]})"));
  EXPECT_FALSE(same(R"({"a": null})", "{}"));
  EXPECT_FALSE(same(R"({"a": "x "})", R"({"a": "x"})"));
  EXPECT_FALSE(same(R"({"a": 1})", R"([{"a": 1}])"));
}

// Numbers are compared as they are written, not as doubles: 2^53 and its neighbour are two numbers.
TEST(SameMeaning, NumbersAreEqualWhenTheyAreTheSameNumber) {
  for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{
           {"1", "1.0"},
           {"1", "1e0"},
           {"10e-1", "1"},
           {"0", "-0"},
           {"0.0", "0e7"},
           {"-2.50", "-25e-1"},
           {"1E+2", "100"},
           {"123456789012345678901234567890", "1.2345678901234567890123456789e29"}})
    EXPECT_TRUE(same(R"({"a": )" + std::string(a) + "}", R"({"a": )" + std::string(b) + "}")) << a << " " << b;
  for (const auto& [a, b] :
       std::vector<std::pair<const char*, const char*>>{{"1", "-1"},
                                                        {"9007199254740992", "9007199254740993"},
                                                        {"12345678901234567890123", "12345678901234567890124"},
                                                        {"0.1", "0.1000000000000000055511151231257827"},
                                                        {"1", "1.0000000000000000001"}})
    EXPECT_FALSE(same(R"({"a": )" + std::string(a) + "}", R"({"a": )" + std::string(b) + "}")) << a << " " << b;
}

TEST(SameMeaning, WhatIsNoCleanJsonMustBeTheSameBytes) {
  EXPECT_TRUE(same(R"({"a": 1, "a": 2})", R"({"a": 1, "a": 2})"));
  EXPECT_FALSE(same(R"({"a": 1, "a": 2})", R"({"a": 1,"a": 2})"));
  EXPECT_TRUE(same(R"({"a": "cut of)", R"({"a": "cut of)"));
  EXPECT_FALSE(same(R"({"a": "cut of)", R"({"a": "cut off)"));
  EXPECT_FALSE(same(R"({"a": 1e999})", R"({"a":1e999})"));
  const std::string deep(100'000, '[');
  EXPECT_FALSE(same(deep, deep + " "));
}

TEST(SameMeaning, AValueMayBecomeWhatItsSchemaAsksFor) {
  EXPECT_TRUE(same(R"({"timeout": "5000"})", R"({"timeout": 5000})"));
  EXPECT_TRUE(same(R"({"timeout": "5000"})", R"({"timeout": 5e3})"));
  EXPECT_TRUE(same(R"({"flag": "true"})", R"({"flag": true})"));
  EXPECT_TRUE(same(R"({"path": 5000})", R"({"path": "5000"})"));
  EXPECT_TRUE(same(R"({"path": true})", R"({"path": "true"})"));
  EXPECT_TRUE(same(R"({"list": ["1", 2]})", R"({"list": [1, 2]})"));
  EXPECT_TRUE(same(R"({"list": "[1, 2]"})", R"({"list": [1,2]})"));
  EXPECT_TRUE(same(R"({"inner": {"n": "3"}})", R"({"inner": {"n": 3}})"));
}

TEST(SameMeaning, AnotherTypeThatNoSchemaAsksForIsADifference) {
  EXPECT_FALSE(same(R"({"timeout": "5000"})", R"({"timeout": 5001})"));
  EXPECT_FALSE(same(R"({"timeout": 5000})", R"({"timeout": "5000"})"));
  EXPECT_FALSE(same(R"({"either": "5"})", R"({"either": 5})"));
  EXPECT_FALSE(same(R"({"either": 5})", R"({"either": "5"})"));
  EXPECT_FALSE(same(R"({"unknown": "5"})", R"({"unknown": 5})"));
  EXPECT_FALSE(same(R"({"path": 5000})", R"({"path": "05000"})"));
  EXPECT_FALSE(same(R"({"flag": "yes"})", R"({"flag": true})"));
}

TEST(SameMeaning, NamesIdsAndTheOrderOfCallsCount) {
  const Message lived = calling("{}");
  Message sent = lived;
  sent.tool_calls[0].id = "call_2";
  EXPECT_FALSE(same_meaning(lived, sent, kTools));
  sent = lived;
  sent.tool_calls[0].name = "g";
  EXPECT_FALSE(same_meaning(lived, sent, kTools));
  sent = lived;
  sent.tool_calls.push_back({"call_2", "f", "{}"});
  EXPECT_FALSE(same_meaning(lived, sent, kTools));
  Message reordered = sent;
  std::swap(reordered.tool_calls[0], reordered.tool_calls[1]);
  EXPECT_TRUE(same_meaning(sent, sent, kTools));
  EXPECT_FALSE(same_meaning(sent, reordered, kTools));
}

TEST(SameMeaning, ReasoningMayBeLeftOutButNotChanged) {
  const Message lived = saying("Yes.\n", "Well, \n");
  EXPECT_TRUE(same_meaning(lived, saying("Yes."), kTools));
  EXPECT_TRUE(same_meaning(lived, saying(" Yes.", "Well,"), kTools));
  EXPECT_FALSE(same_meaning(lived, saying("Yes.", "Well"), kTools));
  EXPECT_FALSE(same_meaning(saying("Yes."), saying("Yes.", "Well"), kTools));
  EXPECT_FALSE(same_meaning(lived, saying("Yes"), kTools));
  EXPECT_FALSE(same_meaning(lived, saying("Yes .", "Well,"), kTools));
}

TEST(SameMeaning, ATemplateMustShowTheReasoningAndWritesNoTypes) {
  EXPECT_FALSE(same_as_written(saying("Yes.", "Well"), saying("Yes."), kTools));
  EXPECT_TRUE(same_as_written(saying("Yes.", "Well"), saying("Yes.", "Well\n"), kTools));
  Message written = calling(R"({"deep": "True", "none": "None", "n": "1.0", "list": "[1, 2]"})");
  written.tool_calls[0].id.clear();
  EXPECT_TRUE(same_as_written(calling(R"({"deep": true, "none": null, "n": 1, "list": [1,2]})"), written, kTools));
  EXPECT_FALSE(same_as_written(calling(R"({"deep": false, "none": null, "n": 1, "list": [1,2]})"), written, kTools));
}

TEST(JsonValue, EqualValuesHaveOneText) {
  const auto text = [](std::string_view json) {
    const auto value = read_json_value(json);
    return value ? canonical_json(*value) : std::string("none");
  };
  EXPECT_EQ(text(R"({"b": [1.0, "x"], "a": {}})"), R"({"a":{},"b":[1e0,"x"]})");
  EXPECT_EQ(text("[10, 0.10, -0.0]"), "[1e1,1e-1,0]");
  EXPECT_EQ(text(R"({"a": 1, "a": 1})"), "none");
  EXPECT_EQ(text("01"), "none");
  EXPECT_EQ(canonical_number("1e9999999999"), std::nullopt);
  for (const char* bad : {"", "-", "1.", ".5", "1e", "+1", "0x1", "1 ", "00"})
    EXPECT_EQ(canonical_number(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace kvern::chat
