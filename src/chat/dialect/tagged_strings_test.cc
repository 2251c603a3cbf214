// Parameters as raw text: what schemas say about strings and about parameters as a whole, and how
// values are read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "chat/dialect/arguments/value_text.h"
#include "chat/dialect/parameter_sets.h"
#include "chat/dialect/test_grammar.h"
#include "chat/dialect/test_parse.h"

namespace kvern::chat {
namespace {

using ::testing::ElementsAre;
using testing::Grammar;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kAccepted;
using testing::request_with;

// Values on lines of their own, values between tags, values with an announced type.
const std::vector<const char*> kShapes = {"qwen3-coder", "glm-4.7", "minimax-m2", "deepseek-v4", "kimi-k3"};

Tool tool_with(std::string parameters) { return {.name = "f", .description = "", .parameters = std::move(parameters)}; }

Tool tool_of(const std::string& property) {
  return tool_with(R"({"type":"object","properties":{"p":)" + property + R"(},"required":["p"]})");
}

ToolCall call_of(std::string arguments) {
  return {.id = {}, .name = "f", .arguments = std::move(arguments), .written_id = {}};
}

std::string rendered(const Dialect& dialect, std::string arguments) {
  return render_calls(dialect, std::vector<ToolCall>{call_of(std::move(arguments))});
}

// Whether the tool's grammar takes the arguments as the dialect writes them.
class Rule {
 public:
  Rule(const char* dialect, Tool tool)
      : dialect_(*find_dialect(dialect)), grammar_(dialect_, request_with({std::move(tool)})) {}

  bool takes(const std::string& arguments) const { return grammar_.judge(rendered(dialect_, arguments)) == kAccepted; }
  const Grammar& grammar() const { return grammar_; }
  const std::vector<std::string>& relaxed() const { return grammar_.spec().relaxed; }

 private:
  const Dialect& dialect_;
  Grammar grammar_;
};

struct StringCase {
  const char* property;
  std::vector<const char*> valid;  // JSON values
  std::vector<const char*> invalid;
};

TEST(TaggedStrings, ObeyWhatTheirSchemaSays) {
  const std::vector<StringCase> cases = {
      {R"({"type":"string","enum":["on","off","on and off"]})",
       {R"("on")", R"("on and off")"},
       {R"("o")", R"("onn")", R"("")"}},
      {R"({"const":"only"})", {R"("only")"}, {R"("onl")", R"("only ")"}},
      {R"({"anyOf":[{"const":"a"},{"const":"b"}]})", {R"("a")", R"("b")"}, {R"("c")"}},
      {R"({"type":"string","pattern":"^[a-z]+/[0-9]{2}$"})", {R"("ab/12")"}, {R"("ab/1")", R"("ab/123")", R"("/12")"}},
      {R"({"type":"string","pattern":"b"})", {R"("abc")", R"("b")", R"("x\nb")"}, {R"("ac")"}},
      {R"({"type":"string","minLength":2,"maxLength":4})",
       {R"("ab")", R"("日本")", R"("a\nbc")"},
       {R"("a")", R"("abcde")"}},
      {R"({"type":"string","format":"date"})", {R"("2026-11-24")"}, {R"("yesterday")"}},
      {R"({"$ref":"#/properties/q"})", {R"("ab")"}, {R"("b")"}},
      {R"({"allOf":[{"type":"string","minLength":2},{"maxLength":3}]})",
       {R"("ab")", R"("abc")"},
       {R"("a")", R"("abcd")"}},
  };
  for (const char* dialect : kShapes) {
    for (const StringCase& one : cases) {
      const Tool tool = tool_with(std::string(R"({"type":"object","properties":{"p":)") + one.property +
                                  R"(,"q":{"type":"string","pattern":"^a"}},"required":["p"]})");
      const Rule rule(dialect, tool);
      for (const char* value : one.valid)
        EXPECT_TRUE(rule.takes(std::string("{\"p\": ") + value + "}"))
            << dialect << one.property << value << rule.grammar().spec().lark;
      for (const char* value : one.invalid)
        EXPECT_FALSE(rule.takes(std::string("{\"p\": ") + value + "}")) << dialect << one.property << value;
      EXPECT_THAT(rule.relaxed(), IsEmpty()) << dialect << one.property;
    }
  }
}

TEST(TaggedStrings, MayBeOfAnotherTypeToo) {
  const std::vector<StringCase> cases = {
      {R"({"type":["string","null"]})", {R"("a")", "null", R"("")"}, {}},
      {R"({"type":["string","null"],"minLength":3})", {R"("abc")", "null"}, {R"("ab")"}},
      {R"({"enum":["auto",1,null]})", {R"("auto")", "1", "null"}, {R"("aut")", "2", "true"}},
      {R"({"anyOf":[{"type":"string","pattern":"^[a-z]+$"},{"type":"integer"}]})",
       {R"("ab")", "12", "-3"},
       {R"("a b")", "1.5"}},
      {R"({"anyOf":[{"type":"string","enum":["all"]},{"type":"array","items":{"type":"integer"}}]})",
       {R"("all")", "[1, 2]", "[]"},
       {R"("any")", R"(["a"])"}},
      {R"({"type":["integer","null"]})", {"5", "null"}, {R"("a")", "true"}},
      {"{}", {R"("a")", "1", "null", "[1]"}, {}},
  };
  for (const char* dialect : kShapes) {
    for (const StringCase& one : cases) {
      const Rule rule(dialect, tool_of(one.property));
      for (const char* value : one.valid)
        EXPECT_TRUE(rule.takes(std::string("{\"p\": ") + value + "}"))
            << dialect << one.property << value << rule.grammar().spec().lark;
      for (const char* value : one.invalid)
        EXPECT_FALSE(rule.takes(std::string("{\"p\": ") + value + "}")) << dialect << one.property << value;
    }
  }
}

TEST(TaggedStrings, SayWhatIsNotEnforced) {
  EXPECT_THAT(Rule("glm-4.7", tool_of(R"({"type":"string","not":{"const":"a"}})")).relaxed(),
              ElementsAre("tool f: /properties/p: not is not enforced in a raw string"));
  EXPECT_THAT(Rule("glm-4.7", tool_of(R"({"anyOf":[{"enum":["a"]},{"type":"integer","minimum":5}]})")).relaxed(),
              ElementsAre("tool f: /properties/p: a number's limits are not enforced beside strings"));
}

// Everything the raw text of a long file may hold, but for what ends it.
TEST(TaggedStrings, HoldTagsThatDoNotEndThem) {
  const std::string free = R"({"p": "<a>\n</x> <parameter=p> </tool_call> \"é\" \\ & ]]>"})";
  for (const char* dialect : {"qwen3-coder", "minimax-m2", "deepseek-v4"}) {
    const Rule rule(dialect, tool_of(R"({"type":"string"})"));
    EXPECT_TRUE(rule.takes(free)) << dialect;
  }
  EXPECT_TRUE(Rule("qwen3-coder", tool_of(R"({"type":"string"})")).takes(R"({"p": "a </parameter> b"})"));
  EXPECT_TRUE(Rule("minimax-m2", tool_of(R"({"type":"string"})")).takes(R"({"p": "a </parameter> b"})"));
  EXPECT_FALSE(Rule("minimax-m2", tool_of(R"({"type":"string"})")).takes(R"({"p": "a</parameter> </invoke> b"})"));
}

TEST(TaggedParameters, AreMergedFromWhereTheyAreDeclared) {
  const std::string root = R"({"allOf":[{"$ref":"#/$defs/base"},{"type":"object","properties":{"n":{"type":"integer"}},
      "required":["n"]}],"$defs":{"base":{"type":"object","properties":{"s":{"type":"string"},"e":{"$ref":"#/$defs/e"}},
      "required":["s"]},"e":{"enum":["x","y"]}}})";
  for (const char* dialect : kShapes) {
    const Rule rule(dialect, tool_with(root));
    EXPECT_TRUE(rule.takes(R"({"s": "a", "n": 1})")) << rule.grammar().spec().lark;
    EXPECT_TRUE(rule.takes(R"({"s": "a", "e": "y", "n": 1})"));
    EXPECT_FALSE(rule.takes(R"({"s": "a", "e": "z", "n": 1})"));
    EXPECT_FALSE(rule.takes(R"({"s": "a"})"));
    EXPECT_FALSE(rule.takes(R"({"n": 1})"));
    EXPECT_THAT(rule.relaxed(), IsEmpty());
  }
}

TEST(TaggedParameters, GoTogetherAsAChoiceSays) {
  const std::string root = R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"anyOf":[
      {"properties":{"b":{"type":"integer"}},"required":["b"]},
      {"properties":{"c":{"type":"boolean"}},"required":["c"]}]})";
  for (const char* dialect : kShapes) {
    const Rule rule(dialect, tool_with(root));
    EXPECT_TRUE(rule.takes(R"({"a": "x", "b": 1})")) << rule.grammar().spec().lark;
    EXPECT_TRUE(rule.takes(R"({"a": "x", "c": true})"));
    EXPECT_FALSE(rule.takes(R"({"a": "x"})"));
    EXPECT_FALSE(rule.takes(R"({"b": 1})"));
  }
}

TEST(TaggedParameters, TakeOthersWhereTheSchemaSaysSo) {
  const std::string root = R"({"type":"object","properties":{"path":{"type":"string"}},"required":["path"],
      "patternProperties":{"^x_":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})";
  for (const char* dialect : kShapes) {
    const Rule rule(dialect, tool_with(root));
    EXPECT_TRUE(rule.takes(R"({"path": "a", "x_1": 5, "pathx": true, "y": false})")) << rule.grammar().spec().lark;
    EXPECT_FALSE(rule.takes(R"({"path": "a", "y": 5})"));
    EXPECT_FALSE(rule.takes(R"({"path": "a", "path": true})"));
    EXPECT_FALSE(rule.takes(R"({"y": true})"));
  }
}

TEST(TaggedParameters, AreTheDeclaredOnesUnlessTheSchemaSaysMore) {
  for (const char* dialect : kShapes) {
    EXPECT_FALSE(Rule(dialect, tool_of(R"({"type":"integer"})")).takes(R"({"p": 1, "q": 2})"));
    EXPECT_FALSE(Rule(dialect, tool_with("{}")).takes(R"({"q": 2})"));
    EXPECT_TRUE(Rule(dialect, tool_with("{}")).takes("{}"));
    EXPECT_TRUE(Rule(dialect, tool_with(R"({"type":"object"})")).takes(R"({"q": 2})"));
    EXPECT_TRUE(Rule(dialect, tool_with(R"({"type":"object"})")).takes("{}"));
  }
}

TEST(TaggedParameters, HaveAnyNameThatTheTagsCanHold) {
  const std::string root = R"({"type":"object","properties":{"two words":{"type":"integer"},"größe":{"type":"integer"},
      "a\"b":{"type":"integer"},"a<b":{"type":"integer"},"a\nb":{"type":"integer"}}})";
  for (const char* dialect : kShapes) {
    const Rule rule(dialect, tool_with(root));
    EXPECT_TRUE(rule.takes(R"({"two words": 1, "größe": 2, "a\"b": 3, "a<b": 4})")) << rule.grammar().spec().lark;
    EXPECT_THAT(rule.relaxed(), ElementsAre(HasSubstr("cannot be written as a tag"))) << dialect;
    ParserOptions options;
    options.tools = {tool_with(root)};
    const std::string text = rendered(*find_dialect(dialect), R"({"two words": 1, "größe": 2, "a\"b": 3, "a<b": 4})");
    EXPECT_THAT(testing::readable(testing::parse(*find_dialect(dialect), options, {text})),
                HasSubstr(R"(args 0 {"two words": 1, "größe": 2, "a\"b": 3, "a<b": 4})"));
  }
}

TEST(TaggedParameters, NameTheKeywordsThatAreNotEnforced) {
  const std::string root = R"({"type":"object","properties":{"a":{"type":"string"}},"minProperties":1,
      "dependentRequired":{"a":["b"]},"oneOf":[{"required":["a"]},{"required":["b"]}]})";
  EXPECT_THAT(Rule("glm-4.7", tool_with(root)).relaxed(),
              ElementsAre("tool f: minProperties of the parameters is not enforced",
                          "tool f: dependentRequired of the parameters is not enforced",
                          "tool f: oneOf of the parameters: that only one of them fits is not enforced"));
}

TEST(TaggedParameters, ASchemaThatRefersToItselfEnds) {
  const Json root = parse_json(R"({"anyOf":[{"$ref":"#"},{"$ref":"#"}],"properties":{"a":{"$ref":"#"}}})").value();
  const ParameterSets sets = parameter_sets(root);
  ASSERT_FALSE(sets.ways.empty());
  EXPECT_LE(sets.ways.size(), 16U);
  EXPECT_FALSE(sets.relaxed.empty());
  EXPECT_TRUE(standalone(root["properties"]["a"], root).has_value());
}

TEST(TaggedParameters, ADocumentOfItsOwnHoldsOnlyWhatItRefersTo) {
  const Json root = parse_json(R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"type":"integer"},"c":{"type":"string"}},
      "properties":{"p":{"$ref":"#/$defs/a"},"q":{"$ref":"#/properties/p"},"r":{"$ref":"#/none"}}})")
                        .value();
  EXPECT_EQ(dump_json(standalone(root["properties"]["p"], root).value()),
            R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"type":"integer"}}})");
  EXPECT_EQ(standalone(root["properties"]["q"], root).value()["$defs"].size(), 3U);
  EXPECT_FALSE(standalone(root["properties"]["r"], root).has_value());
}

TEST(TaggedParameters, ADocumentOfItsOwnIsOfTheSameDraft) {
  const std::string root = R"({"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{
      "pair":{"type":"array","items":[{"type":"string"},{"type":"integer"}],"minItems":2,"maxItems":2}},
      "required":["pair"]})";
  const Rule rule("qwen3-coder", tool_with(root));
  EXPECT_TRUE(rule.takes(R"({"pair": ["a", 1]})")) << rule.grammar().spec().lark;
  EXPECT_FALSE(rule.takes(R"({"pair": [1, "a"]})"));
}

Tool custom_tool(TextSyntax syntax, std::string definition) {
  return {.name = "f",
          .description = "",
          .parameters = kCustomParameters,
          .custom = true,
          .input = {.syntax = syntax, .definition = std::move(definition)}};
}

TEST(CustomTools, TakeTheTextTheirRuleAllows) {
  for (const char* dialect : kShapes) {
    const Rule any(dialect, custom_tool(TextSyntax::any, ""));
    EXPECT_TRUE(any.takes(R"({"input": "*** Begin\n+ <x>\n"})")) << any.grammar().spec().lark;
    const Rule regex(dialect, custom_tool(TextSyntax::regex, "[a-z\\n]+"));
    EXPECT_TRUE(regex.takes(R"({"input": "abc\nd"})")) << regex.grammar().spec().lark;
    EXPECT_FALSE(regex.takes(R"({"input": "aBc"})"));
    const Rule all(dialect, custom_tool(TextSyntax::regex, "(?s:.*)"));
    EXPECT_TRUE(all.takes(R"({"input": "a\nb"})"));
    const Rule lark(dialect,
                    custom_tool(TextSyntax::lark, "start: \"begin\\n\" line+ \"end\"\nline: /[+-][^\\n]*/ \"\\n\""));
    EXPECT_TRUE(lark.takes(R"({"input": "begin\n+a\n- b\nend"})")) << lark.grammar().spec().lark;
    EXPECT_FALSE(lark.takes(R"({"input": "begin\na\nend"})"));
  }
}

std::string read_value(const char* property, const std::string& text) {
  ParserOptions options;
  options.tools = {tool_of(property)};
  std::string args;
  const std::string turn = "<tool_call>f<arg_key>p</arg_key><arg_value>" + text + "</arg_value></tool_call>";
  for (const Event& event : testing::parse(*find_dialect("glm-4.7"), options, {turn}))
    if (const auto* piece = std::get_if<CallArgsEvent>(&event)) args += piece->text;
  return args;
}

TEST(TaggedValues, AreReadAsTheSchemaAllows) {
  EXPECT_EQ(read_value(R"({"type":["string","null"]})", "null"), R"({"p": null})");
  EXPECT_EQ(read_value(R"({"type":["string","null"]})", "5"), R"({"p": "5"})");
  EXPECT_EQ(read_value(R"({"type":"string"})", "null"), R"({"p": "null"})");
  EXPECT_EQ(read_value(R"({"enum":["1",2]})", "1"), R"({"p": "1"})");
  EXPECT_EQ(read_value(R"({"enum":["1",2]})", "2"), R"({"p": 2})");
  EXPECT_EQ(read_value(R"({"anyOf":[{"type":"string"},{"type":"integer","minimum":5}]})", "3"), R"({"p": "3"})");
  EXPECT_EQ(read_value(R"({"anyOf":[{"type":"string"},{"type":"integer","minimum":5}]})", "7"), R"({"p": 7})");
  EXPECT_EQ(read_value("{}", "[1, 2]"), R"({"p": [1, 2]})");
  EXPECT_EQ(read_value(R"({"type":"integer"})", "many"), R"({"p": "many"})");
}

TEST(TaggedValues, ThatArePythonAreReadAsJson) {
  EXPECT_EQ(read_value(R"({"type":"boolean"})", "True"), R"({"p": true})");
  EXPECT_EQ(read_value(R"({"type":"string"})", "True"), R"({"p": "True"})");
  EXPECT_EQ(read_value(R"({"type":"object"})", "{'a': (1, None), 'b': \"it's\"}"),
            R"({"p": {"a": [1, null], "b": "it's"}})");
  EXPECT_EQ(json_of_python(R"('a\n\'\x41\u00e9\U0001F600\q"')"), R"("a\n'\u0041\u00e9\ud83d\ude00\\q\"")");
  EXPECT_EQ(json_of_python("['a', False]"), R"(["a", false])");
  for (const char* text : {"", "'a", "'a\\", "words here", "{'a'}", "(1,)", "'a' 'b'"})
    EXPECT_EQ(json_of_python(text), "") << text;
}

}  // namespace
}  // namespace kvern::chat
