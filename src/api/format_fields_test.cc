#include "api/format_fields.h"

#include <nlohmann/json.hpp>

#include "api/openai_completions.h"
#include "api/test_requests.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

using testing::expect_refused;
using testing::parse_with;
using testing::Refusal;

TEST(Format, SchemasComeInManySpellings) {
  EXPECT_EQ(parse_with(R"("response_format":{"type":"text"})")->format.kind, FormatKind::text);
  EXPECT_EQ(parse_with(R"("response_format":{"type":"json_object"})")->format.kind, FormatKind::json_object);
  EXPECT_EQ(parse_with(R"("structured_outputs":{"json_object":true})")->format.kind, FormatKind::json_object);
  struct Case {
    const char* fields;
    const char* field;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,
              "schema":{"z":1,"a":2}}})",
            "response_format.json_schema.schema"},
           {R"("response_format":{"type":"json_object","schema":{"z":1,"a":2}})", "response_format.schema"},
           {R"("json_schema":{"z":1,"a":2})", "json_schema"},
           {R"("guided_json":{"z":1,"a":2})", "guided_json"},
           {R"("guided_json":"{\"z\": 1, \"a\": 2}")", "guided_json"},
           {R"("structured_outputs":{"json":{"z":1,"a":2}})", "structured_outputs.json"},
           {R"("structured_outputs":{"json":"{\"z\":1,\"a\":2}"})", "structured_outputs.json"}}) {
    const auto request = parse_with(c.fields);
    ASSERT_TRUE(request) << c.fields << request.error().message;
    EXPECT_EQ(request->format.kind, FormatKind::json_schema) << c.fields;
    EXPECT_EQ(request->format.schema, R"({"z":1,"a":2})") << "key order is kept";
    EXPECT_EQ(request->format.field, c.field);
  }
}

TEST(Format, RulesComeInManySpellings) {
  struct Case {
    const char* fields;
    TextSyntax syntax;
    const char* definition;
    const char* field;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"("guided_regex":"[0-9]+")", TextSyntax::regex, "[0-9]+", "guided_regex"},
           {R"("regex":"a|b")", TextSyntax::regex, "a|b", "regex"},
           {R"("structured_outputs":{"regex":"a"})", TextSyntax::regex, "a", "structured_outputs.regex"},
           {R"("guided_grammar":"root ::= \"a\"")", TextSyntax::gbnf, "root ::= \"a\"", "guided_grammar"},
           {R"("guided_grammar":"start: \"a\"")", TextSyntax::lark, "start: \"a\"", "guided_grammar"},
           {R"("structured_outputs":{"grammar":"start: \"a\""})", TextSyntax::lark, "start: \"a\"",
            "structured_outputs.grammar"},
           {R"("ebnf":"root ::= \"a\"")", TextSyntax::gbnf, "root ::= \"a\"", "ebnf"},
           {R"("grammar":"root ::= \"a\"")", TextSyntax::gbnf, "root ::= \"a\"", "grammar"},
           {R"("grammar":"no grammar")", TextSyntax::gbnf, "no grammar", "grammar"},
           {R"("grammar":"\n%llguidance {}\nstart: \"a\"")", TextSyntax::lark, "\n%llguidance {}\nstart: \"a\"",
            "grammar"}}) {
    const auto request = parse_with(c.fields);
    ASSERT_TRUE(request) << c.fields << request.error().message;
    EXPECT_EQ(request->format.kind, FormatKind::grammar) << c.fields;
    EXPECT_EQ(request->format.rule.syntax, c.syntax) << c.fields;
    EXPECT_EQ(request->format.rule.definition, c.definition);
    EXPECT_EQ(request->format.field, c.field);
  }
}

TEST(Format, ChoicesAreAListOfDifferentTexts) {
  for (const char* fields :
       {R"("guided_choice":["yes","no","yes"])", R"("structured_outputs":{"choice":["yes","no"]})"}) {
    const auto request = parse_with(fields);
    ASSERT_TRUE(request) << fields << request.error().message;
    EXPECT_EQ(request->format.kind, FormatKind::choice);
    EXPECT_EQ(request->format.choices, (std::vector<std::string>{"yes", "no"}));
  }
}

TEST(Format, WhitespaceBelongsToJson) {
  for (const char* name : {"guided_whitespace_pattern", "whitespace_pattern"})
    EXPECT_EQ(parse_with(fmt::format(R"("guided_json":{{}},"{}":"[ ]?")", name))->format.whitespace, "[ ]?");
  EXPECT_EQ(parse_with(R"("structured_outputs":{"json":{},"whitespace_pattern":" *"})")->format.whitespace, " *");
  EXPECT_EQ(parse_with(R"("regex":"a","whitespace_pattern":" *")")->format.whitespace, "");
}

// Interfaces send all of their fields, filled in or not.
TEST(Format, WhatIsEmptyAsksForNothing) {
  const auto request = parse_with(R"("response_format":{"type":"text"},"grammar":"","regex":" ","guided_json":null,
    "structured_outputs":{},"guided_json_object":false,"guided_whitespace_pattern":"","guided_choice":null)");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->format.kind, FormatKind::text);
  EXPECT_EQ(request->format.field, "");
  EXPECT_EQ(parse_with(R"("response_format":{"type":"text"},"regex":"a")")->format.kind, FormatKind::grammar);
}

TEST(Format, TwoOfThemAreRefusedByBothNames) {
  expect_refused(parse_with(R"("response_format":{"type":"json_object"},"guided_regex":"a")"),
                 {"", "guided_regex", "response_format and guided_regex both say"});
  expect_refused(parse_with(R"("guided_json":{},"structured_outputs":{"choice":["a"]})"),
                 {"", "guided_json", "structured_outputs.choice and guided_json both say"});
  expect_refused(parse_with(R"("structured_outputs":{"regex":"a","grammar":"b"})"),
                 {"", "structured_outputs.grammar", "structured_outputs.regex and structured_outputs.grammar both"});
}

TEST(Format, AWrongFieldIsNamed) {
  for (const Refusal& refusal : std::initializer_list<Refusal>{
           {R"("guided_json":5)", "guided_json", "expected an object, found a number"},
           {R"("guided_json":"{")", "guided_json", "expected a JSON Schema: "},
           {R"("guided_json":"[]")", "guided_json", "expected an object, found a list"},
           {R"("guided_choice":"a")", "guided_choice", "expected a list of strings"},
           {R"("guided_choice":[])", "guided_choice", "at least one choice"},
           {R"("guided_choice":["a",""])", "guided_choice[1]", "must not be empty"},
           {R"("guided_choice":["a",5])", "guided_choice[1]", "expected a string, found a number"},
           {R"("guided_regex":["a"])", "guided_regex", "expected a string, found a list"},
           {R"("ebnf":5)", "ebnf", "expected a string, found a number"},
           {R"("structured_outputs":[])", "structured_outputs", "expected an object, found a list"},
           {R"("structured_outputs":{"json":5})", "structured_outputs.json", "expected an object"},
           {R"("structured_outputs":{"json_object":1})", "structured_outputs.json_object", "expected true or false"},
           {R"("whitespace_pattern":5)", "whitespace_pattern", "expected a string"},
           {fmt::format(R"("regex":"{}")", std::string(limits::kTextRuleBytes + 1, 'a')), "regex", "the rule has",
            Code::too_large},
           {fmt::format(R"("guided_choice":["{}"])", std::string(limits::kTextRuleBytes + 1, 'a')), "guided_choice",
            "the choices have", Code::too_large}})
    expect_refused(parse_with(refusal.text), refusal);
  std::string many = "\"a\"";
  for (std::size_t i = 0; i < limits::kFormatChoices; ++i) many += ",\"a\"";
  expect_refused(parse_with(fmt::format(R"("guided_choice":[{}])", many)),
                 {"choices", "guided_choice", "more than", Code::too_large});
}

TEST(Format, TextCompletionsHaveThemToo) {
  const auto request = parse_completion_request(R"({"prompt":"p","guided_choice":["a","b"]})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->format.kind, FormatKind::choice);
  EXPECT_EQ(parse_completion_request(R"({"prompt":"p","ebnf":"root ::= \"a\""})")->format.rule.syntax,
            TextSyntax::gbnf);
}

}  // namespace
}  // namespace kvern::api
