// Keywords llguidance does not know, said in words it knows: as strict as the check, in both directions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "constrain/schema.h"
#include "constrain/test_vocab.h"

namespace kvern::constrain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Rewrites : public ::testing::Test {
 protected:
  std::vector<std::string> relaxed(std::string_view schema, const JsonStyle& style = {}) {
    const auto fitted = fitter_->fit(schema, style);
    EXPECT_TRUE(fitted) << schema << (fitted ? "" : fitted.error().message);
    return fitted ? fitted->relaxed : std::vector<std::string>{"not fitted"};
  }

  bool takes(std::string_view schema, std::string_view text, const JsonStyle& style = {}) {
    const auto fitted = fitter_->fit(schema, style);
    EXPECT_TRUE(fitted) << schema << (fitted ? "" : fitted.error().message);
    const auto compiled = compiler_->compile("start: %json " + (fitted ? fitted->json : "{}"));
    EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
    if (!compiled) return false;
    const auto matcher = (*compiled)->start();
    for (const TokenId token : vocab_.encode(text))
      if (!matcher->accept(token)) return false;
    return matcher->allows(vocab_.im_end());
  }

  TestVocab vocab_;
  std::unique_ptr<Compiler> compiler_ = std::move(Compiler::create(vocab_)).value();
  std::unique_ptr<SchemaFitter> fitter_ = SchemaFitter::create(*compiler_);
};

struct Row {
  const char* schema;
  std::vector<const char*> values;  // valid and invalid ones; the check knows which
};

TEST_F(Rewrites, AreAsStrictAsTheCheck) {
  const std::vector<Row> table = {
      {R"({"not": {"type": "string"}})", {R"("a")", "1", "null", "[]", "{}"}},
      {R"({"type": "string", "not": {"const": "rm"}})", {R"("rm")", R"("r")", R"("rmx")", R"("")", R"("ls")"}},
      {R"({"type": "string", "not": {"enum": ["rm", "rmdir", "\u65e5", ""]}})",
       {R"("rm")", R"("rmd")", R"("rmdir")", R"("rmdirs")", R"("")", "\"\u65e5\"", "\"\u672c\""}},
      {R"({"type": ["integer", "null", "boolean"], "not": {"enum": [5, 6, 10, null, true]}})",
       {"5", "6", "4", "7", "10", "11", "null", "true", "false"}},
      {R"({"enum": ["a", "b", 1], "not": {"const": "b"}})", {R"("a")", R"("b")", "1"}},
      {R"({"type": "object", "not": {"required": ["x"]}})", {R"({"x": 1})", R"({"y": 1})", "{}"}},
      {R"({"type": "object", "not": {"anyOf": [{"required": ["x"]}, {"required": ["y"]}]}})",
       {R"({"x": 1})", R"({"y": 1})", R"({"z": 1})"}},
      {R"({"type": "object", "properties": {"c": {"type": "string"}}, "not": {"properties": {"c": {"const": "rm"}},
          "required": ["c"]}})",
       {R"({"c": "rm"})", R"({"c": "ls"})", "{}"}},
      {R"({"type": "object", "properties": {"k": {"enum": ["a", "b"]}, "x": {}, "y": {}}, "if": {"properties": {"k":
          {"const": "a"}}}, "then": {"required": ["x"]}, "else": {"required": ["y"]}})",
       {R"({"k": "a", "x": 1})", R"({"k": "a", "y": 1})", R"({"k": "b", "y": 1})", R"({"k": "b", "x": 1})", "{}",
        R"({"x": 1})"}},
      {R"({"type": "object", "properties": {"k": {"type": "boolean"}, "x": {}}, "if": {"properties": {"k": {"const":
          true}}, "required": ["k"]}, "then": {"required": ["x"]}})",
       {R"({"k": true, "x": 1})", R"({"k": true})", R"({"k": false})", "{}"}},
      {R"({"type": "object", "properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]}})",
       {R"({"a": 1, "b": 2})", R"({"a": 1})", R"({"b": 1})", "{}"}},
      {R"({"dependentSchemas": {"a": {"properties": {"b": {"type": "string"}}}}})",
       {R"({"a": 1, "b": "x"})", R"({"a": 1, "b": 2})", R"({"b": 2})", "3"}},
      {R"({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "dependencies": {"a": ["b"], "c":
          {"required": ["d"]}}})",
       {R"({"a": 1})", R"({"a": 1, "b": 1})", R"({"c": 1})", R"({"c": 1, "d": 1})", R"({"x": 1})"}},
      {R"({"type": "object", "properties": {"p": {"type": "string"}, "u": {"type": "string"}}, "oneOf": [{"required":
          ["p"]}, {"required": ["u"]}]})",
       {R"({"p": "a"})", R"({"u": "a"})", R"({"p": "a", "u": "b"})", "{}"}},
      {R"({"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {"a": {"type": "object", "properties":
          {"k": {"const": 1}, "v": {"type": "string"}}, "required": ["k"]}, "b": {"type": "object", "properties": {"k":
          {"const": 2}}, "required": ["k"]}}})",
       {R"({"k": 1})", R"({"k": 2})", R"({"k": 1, "v": 5})", R"({"k": 2, "v": 5})", R"({"k": 3})"}},
      {R"({"oneOf": [{"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": false},
          {"type": "object", "properties": {"b": {}}, "required": ["b"], "additionalProperties": false}]})",
       {R"({"a": 1})", R"({"b": 1})", R"({"a": 1, "b": 1})", "{}"}},
      {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "minProperties": 1})",
       {"{}", R"({"a": 1})", R"({"b": 1})", R"({"a": 1, "b": 2})", R"({"z": 1})", R"({"a": "x"})"}},
      {R"({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"], "minProperties": 1})",
       {R"({"a": 1})", R"({"a": 1, "b": 2})", "{}"}},
      {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}, "c": {}}, "minProperties": 2,
          "additionalProperties": false})",
       {"{}", R"({"a": 1})", R"({"a": 1, "b": 2})", R"({"b": 1, "c": 2})", R"({"a": 1, "b": 2, "c": 3})",
        R"({"a": "x", "b": 2})", R"({"a": 1, "z": 2})"}},
      {R"({"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "required": ["b"], "maxProperties": 2,
          "additionalProperties": false})",
       {"{}", R"({"a": 1})", R"({"b": 2})", R"({"b": 1, "c": 2})", R"({"a": 1, "b": 2, "c": 3})"}},
      {R"({"type": "object", "propertyNames": {"pattern": "^a"}})", {"{}", R"({"ab": 1})", R"({"b": 1})"}},
      {R"({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "integer"}})",
       {"{}", R"({"a": 1})", R"({"b": 1})", R"({"a": "x"})", R"({"c": 1})"}},
      {R"({"type": "object", "properties": {"abc": {}, "x": {}}, "propertyNames": {"maxLength": 2}})",
       {R"({"x": 1})", R"({"abc": 1})", R"({"yy": 1})", R"({"yyy": 1})"}},
      {R"({"type": "object", "properties": {"a": {}}, "unevaluatedProperties": false})",
       {R"({"a": 1})", R"({"b": 1})"}},
      {R"({"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": true, "minItems": 1})",
       {"[]", R"(["a"])", R"(["b", "a"])", R"(["a", "a"])", R"(["c", "a", "b"])", R"(["d"])"}},
      {R"({"type": ["array", "null"], "items": {"type": "boolean"}, "uniqueItems": true})",
       {"null", "[]", "[true]", "[false, true]", "[true, true]"}},
      {R"({"type": "array", "uniqueItems": true, "maxItems": 1})", {"[]", "[1]", "[1, 2]"}},
      {R"({"type": "string", "format": "date"})", {R"("2024-02-29")", R"("2023-02-29")", R"("x")"}},
      {R"({"type": "integer", "format": "int64"})", {"1", R"("1")"}},
      {R"({"format": "date"})", {R"("2024-02-29")", R"("x")", "1"}},
      // What llguidance knows by itself.
      {R"({"type": "object", "properties": {"a": {"const": 1}, "b": {"enum": ["x", null]}}, "required": ["a"],
          "additionalProperties": false})",
       {R"({"a": 1})", R"({"a": 1, "b": null})", R"({"a": 2})", R"({"a": 1, "b": 1})", R"({"a": 1, "c": 1})"}},
      {R"({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}, "minItems": 1,
          "maxItems": 2})",
       {"[]", "[1]", R"([1, "a"])", R"([1, "a", "b"])", "[1, 2]"}},
      {R"({"anyOf": [{"type": "integer", "minimum": 3}, {"type": "string", "minLength": 2, "maxLength": 3}]})",
       {"2", "3", R"("a")", R"("ab")", R"("abcd")"}},
      {R"({"allOf": [{"properties": {"a": {"type": "integer"}}}, {"required": ["a"]}, {"type": "object"}]})",
       {R"({"a": 1})", "{}", R"({"a": "x"})", "3"}},
      {R"({"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": false})",
       {R"({"x-a": 1})", R"({"x-a": "b"})", R"({"y": 1})"}},
      {R"({"type": "object", "maxProperties": 1, "minProperties": 1})", {"{}", R"({"a": 1})", R"({"a": 1, "b": 2})"}},
      {R"({"type": "number", "exclusiveMinimum": 0, "maximum": 5, "multipleOf": 0.5})",
       {"0", "0.5", "0.7", "5", "5.5"}},
      {R"({"type": "string", "pattern": "b+"})", {R"("abc")", R"("ac")"}},
      {R"({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}},
          "additionalProperties": false}}})",
       {"{}", R"({"n": {"n": {}}})", R"({"n": 1})"}},
  };
  for (const Row& row : table) {
    const auto check = SchemaCheck::compile(row.schema);
    ASSERT_TRUE(check) << row.schema;
    EXPECT_THAT(relaxed(row.schema), IsEmpty()) << row.schema;
    for (const char* value : row.values)
      EXPECT_EQ(takes(row.schema, value), check->check(value).has_value()) << row.schema << "\n" << value;
  }
}

TEST_F(Rewrites, WhatTheyCannotSayIsNamed) {
  EXPECT_THAT(relaxed(R"({"type": "string", "not": {"pattern": "^a"}})"), ElementsAre("/: not"));
  EXPECT_THAT(relaxed(R"({"type": "array", "contains": {"const": 1}})"), ElementsAre("/: contains"));
  EXPECT_THAT(relaxed(R"({"type": "array", "items": {"type": "string"}, "uniqueItems": true})"),
              ElementsAre("/: uniqueItems"));
  EXPECT_THAT(relaxed(R"({"type": "string", "format": "markdown"})"), ElementsAre("/: format \"markdown\""));
  EXPECT_THAT(relaxed(R"({"if": {"minProperties": 2}, "then": {"required": ["a"]}})"), ElementsAre("/: if", "/: then"));
  EXPECT_THAT(relaxed(R"({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": false})"),
              ElementsAre("/: unevaluatedProperties"));
}

// An unknown format takes nothing from what stands beside it.
TEST_F(Rewrites, UnknownFormatsLeaveTheRestStrict) {
  constexpr const char* kSchema =
      R"({"type": "object", "properties": {"a": {"type": "string", "format": "path", "maxLength": 2}}, "required": ["a"],
          "oneOf": [{"properties": {"k": {"const": 1}}, "required": ["k"]}, {"properties": {"k": {"const": 2}},
          "required": ["k"]}]})";
  EXPECT_THAT(relaxed(kSchema), ElementsAre("/properties/a: format \"path\""));
  EXPECT_TRUE(takes(kSchema, R"({"a": "xy", "k": 1})"));
  EXPECT_FALSE(takes(kSchema, R"({"a": "xyz", "k": 1})"));
  EXPECT_FALSE(takes(kSchema, R"({"a": "xy", "k": 3})"));
}

TEST_F(Rewrites, WhiteSpaceIsTheClientsWhereItAsks) {
  constexpr const char* kSchema = R"({"type": "object", "properties": {"a": {"type": "array"}}})";
  const JsonStyle style{", ", ": ", "[ \\n]?"};
  EXPECT_TRUE(takes(kSchema, R"({"a":[1,2]})", style));
  EXPECT_TRUE(takes(kSchema, "{ \"a\" : [ 1 , 2\n] }", style));
  EXPECT_FALSE(takes(kSchema, R"({"a":  [1]})", style));
  EXPECT_FALSE(takes(kSchema, "{\"a\":\t[1]}", style));
  EXPECT_FALSE(takes(kSchema, R"({"a":[1]})")) << "without a pattern the spacing is the template's";
}

TEST_F(Rewrites, WhiteSpaceThatIsNoneIsRefused) {
  for (const char* pattern : {"x", ".*", "\\s", "(", "[ \\v]"}) {
    const auto fitted = fitter_->fit("{}", JsonStyle{", ", ": ", pattern});
    ASSERT_FALSE(fitted) << pattern;
    EXPECT_EQ(fitted.error().code, Code::invalid);
    EXPECT_THAT(fitted.error().message, HasSubstr("regular expression"));
  }
}

}  // namespace
}  // namespace kvern::constrain
