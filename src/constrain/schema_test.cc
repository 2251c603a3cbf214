#include "constrain/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "constrain/test_vocab.h"

namespace kvern::constrain {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class Schemas : public ::testing::Test {
 protected:
  Result<FittedSchema> fit(std::string_view schema) { return fitter_->fit(schema, JsonStyle{}); }

  std::vector<std::string> relaxed(std::string_view schema) {
    const auto fitted = fit(schema);
    EXPECT_TRUE(fitted) << schema << ": " << (fitted ? "" : fitted.error().message);
    if (!fitted) return {};
    EXPECT_TRUE(compiler_->compile("start: %json " + fitted->json)) << fitted->json;
    return fitted->relaxed;
  }

  Error error(std::string_view schema) {
    const auto fitted = fit(schema);
    EXPECT_FALSE(fitted) << schema;
    return fitted ? Error{} : fitted.error();
  }

  // Whether the grammar of the fitted schema takes text to its end.
  bool takes(std::string_view schema, std::string_view text, const JsonStyle& style = {}) {
    const auto fitted = fitter_->fit(schema, style);
    if (!fitted) return false;
    const auto compiled = compiler_->compile("start: %json " + fitted->json);
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

struct Relaxation {
  const char* schema;
  std::vector<std::string> lines;
};

TEST_F(Schemas, WhatIsLeftOutIsNamedWithItsPlace) {
  const std::vector<Relaxation> table = {
      {R"({"type": "object", "properties": {"cmd": {"type": "string", "not": {"pattern": "rm"}}}})",
       {"/properties/cmd: not"}},
      {R"({"not": {"minLength": 2}})", {"/: not"}},
      {R"({"type": "array", "uniqueItems": true})", {"/: uniqueItems"}},
      {R"({"properties": {"a/b~c": {"contains": {"const": 1}}}})", {"/properties/a~1b~0c: contains"}},
      {R"({"type": "object", "if": {"minProperties": 2}, "then": {"required": ["b"]}})", {"/: if", "/: then"}},
      {R"({"type": "object", "propertyNames": {"not": {"const": "a"}}})", {"/: propertyNames"}},
      {R"({"properties": {"p": {"type": "string", "format": "path"}}})", {"/properties/p: format \"path\""}},
      {R"({"items": {"oneOf": [{"type": "integer"}, {"type": "number"}]}})", {"/items: oneOf (taken as anyOf)"}},
      {R"({"properties": {"a": {"type": "string", "pattern": "^(?=x)x$"}, "b": {"type": "string", "pattern": "^b$"}}})",
       {"/properties/a: pattern"}},
      {R"({"type": "integer", "multipleOf": 999999999999})", {"/: multipleOf"}},
      {R"({"type": "integer", "multipleOf": 9999999})", {"/: multipleOf"}},
      {R"({"type": "number", "multipleOf": 1e-300})", {"/: multipleOf"}},
      {R"({"allOf": [{"type": "integer", "multipleOf": 997}, {"multipleOf": 991}, {"multipleOf": 983}]})",
       {"/allOf/1: multipleOf", "/allOf/2: multipleOf"}},
      {R"({"type": "integer", "minimum": -1e300, "maximum": 1e300})", {"/: minimum", "/: maximum"}},
      {R"({"patternProperties": {"^a": {"type": "string"}, "b$": {"type": "integer"}}, "additionalProperties": false})",
       {"/: patternProperties", "/: additionalProperties"}},
      {R"({"type": "object", "properties": {"a": {"type": "string"}}, "maxProperties": 3})", {"/: maxProperties"}},
      {R"({"$defs": {"n": {"type": "object", "properties": {"c": {"$ref": "#/$defs/n", "minProperties": 2}}}}, "$ref": "#/$defs/n"})",
       {"/$defs/n/properties/c: minProperties beside $ref"}},
  };
  for (const Relaxation& row : table) {
    EXPECT_THAT(relaxed(row.schema), ::testing::UnorderedElementsAreArray(row.lines)) << row.schema;
  }
}

TEST_F(Schemas, TheRestOfARelaxedSchemaIsStillEnforced) {
  constexpr const char* kSchema =
      R"({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=x)x$"}, "b": {"type": "integer"}},
          "required": ["b"], "additionalProperties": false})";
  EXPECT_TRUE(takes(kSchema, R"({"a": "anything", "b": 1})"));
  EXPECT_FALSE(takes(kSchema, R"({"b": "1"})"));
  EXPECT_FALSE(takes(kSchema, R"({"a": "x"})"));
}

TEST_F(Schemas, KeywordsThatMeanNothingCostNothing) {
  for (const char* schema :
       {R"({"type": "array", "uniqueItems": false})", R"({"then": {"type": "string"}})",
        R"({"if": {"type": "string"}})", R"({"type": "object", "propertyNames": {"type": "string"}})",
        R"({"type": "object", "unevaluatedProperties": true})", R"({"type": "string", "maxLength": 10.0})",
        R"({"type": "object", "dependentRequired": {}})", R"({"type": "array", "minContains": 1})",
        R"({"items": {"type": "number", "multipleOf": 0.01}, "properties": {"a": {"multipleOf": 25}}})",
        R"({"$schema": "https://example.com/mine", "type": "object"})",
        R"({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"})"})
    EXPECT_THAT(relaxed(schema), IsEmpty()) << schema;
}

TEST_F(Schemas, PropertiesNamedLikeKeywordsAreProperties) {
  EXPECT_THAT(relaxed(R"({"type": "object", "properties": {"not": {"type": "string"}, "format": {"type": "string"},
      "x-guidance": {"type": "integer"}, "$ref": {"type": "string"}, "uniqueItems": {"const": false}}})"),
              IsEmpty());
  EXPECT_TRUE(takes(R"({"properties": {"x-guidance": {"type": "integer"}}, "additionalProperties": false})",
                    R"({"x-guidance": 1})"));
}

TEST_F(Schemas, WhatCannotBeSatisfiedBecomesAnyObject) {
  for (const char* schema : {R"({"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]})", "false",
                             R"({"$ref": "#"})", R"({"minLength": 5, "maxLength": 1, "type": "string"})"}) {
    EXPECT_THAT(relaxed(schema), ElementsAre(HasSubstr("any JSON object is taken"))) << schema;
    EXPECT_TRUE(takes(schema, R"({"x": 1})"));
    EXPECT_FALSE(takes(schema, "1"));
  }
}

TEST_F(Schemas, TrueAndTheEmptySchemaTakeAnyValueInOurSpacing) {
  for (const char* schema : {"true", "{}"}) {
    EXPECT_THAT(relaxed(schema), IsEmpty());
    EXPECT_TRUE(takes(schema, R"([1, {"a": null}])"));
    EXPECT_FALSE(takes(schema, "[1,2]"));
  }
}

TEST_F(Schemas, SpacingIsTheTemplatesAndNotTheClients) {
  constexpr const char* kSchema =
      R"({"x-guidance": {"item_separator": ";", "nonsense": 1}, "properties": {"a": {"type": "array",
          "x-guidance": {"lenient": true}}}})";
  EXPECT_TRUE(takes(kSchema, R"({"a": [1, 2], "b": 3})"));
  EXPECT_FALSE(takes(kSchema, R"({"a":[1,2]})"));
  EXPECT_TRUE(takes(kSchema, R"({"a":[1,2],"b":3})", {",", ":"}));
  EXPECT_TRUE(takes(kSchema, R"({"a".+[1*(2]})", {"*(", ".+"})) << "separators are text, not regular expressions";
  EXPECT_THAT(fit(kSchema)->json, AllOf(Not(HasSubstr("nonsense")), Not(HasSubstr("lenient"))));
}

TEST_F(Schemas, StringsMayUseUnicodeEscapes) { EXPECT_TRUE(takes(R"({"type": "string"})", R"("\u00e9\n")")); }

TEST_F(Schemas, WhatIsNoJsonSchemaIsRefusedWithItsPlace) {
  EXPECT_THAT(error(R"({"properties": {"x": {"type": 5}}})").message, HasSubstr("at /properties/x/type: 5"));
  EXPECT_THAT(error(R"({"type": "strin"})").message, HasSubstr("at /type: \"strin\""));
  EXPECT_THAT(error(R"({"required": "a"})").message, HasSubstr("at /required: "));
  EXPECT_THAT(error(R"({"properties": {"a": {"$ref": "#/nope"}}})").message, HasSubstr("/nope"));
  EXPECT_THAT(error(R"({"type": )").message, HasSubstr("line 1 column 9"));
  EXPECT_THAT(error("[]").message, HasSubstr("array"));
  EXPECT_THAT(error("").message, HasSubstr("empty"));
  EXPECT_THAT(error("\xFF").message, HasSubstr("schema"));
  for (const char* schema : {R"({"type": 5})", "3", "{", "null"}) EXPECT_EQ(error(schema).code, Code::invalid);
}

TEST_F(Schemas, WhatAnotherDocumentSaysIsNotEnforcedAndNamed) {
  const char* schema = R"({"type": "object", "properties": {"n": {"type": "integer", "maximum": 9},
      "thing": {"$ref": "https://example.com/thing.json#/a"}}, "required": ["n", "thing"], "additionalProperties": false})";
  const auto fitted = fit(schema);
  ASSERT_TRUE(fitted);
  EXPECT_THAT(fitted->relaxed,
              ElementsAre(AllOf(HasSubstr("/properties/thing: "), HasSubstr("example.com/thing.json"))));
  EXPECT_TRUE(takes(schema, R"({"n": 5, "thing": [1]})"));
  EXPECT_FALSE(takes(schema, R"({"n": 12, "thing": [1]})"));
  EXPECT_TRUE(SchemaCheck::compile(schema));
}

TEST_F(Schemas, ADocumentWithinTheSchemaIsAtHand) {
  const char* schema = R"({"$id": "https://example.com/root.json", "type": "object",
      "properties": {"n": {"$ref": "number.json"}}, "required": ["n"], "additionalProperties": false,
      "$defs": {"number": {"$id": "number.json", "type": "integer"}}})";
  EXPECT_FALSE(takes(schema, R"({"n": "five"})"));
}

TEST_F(Schemas, TheSameSchemaInTheSameStyleIsFittedOnce) {
  const auto first = fit(R"({"type": "object"})");
  const auto second = fit(R"({"type": "object"})");
  const auto other = fitter_->fit(R"({"type": "object"})", {",", ":"});
  ASSERT_TRUE(first && second && other);
  EXPECT_EQ(first->json, second->json);
  EXPECT_NE(first->json, other->json);
  EXPECT_EQ(compiler_->compiled_count(), 0U) << "fitting must not push tool sets out of the compiler's memory";
}

std::string repeated(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

// d0 -> d1 -> ... -> dn, each through link with the next one's reference in it.
std::string chain(int length, const std::string& link) {
  std::string out = R"({"$ref": "#/$defs/d0", "$defs": {)";
  for (int i = 0; i < length; ++i) {
    const std::string next = fmt::format(R"({{"$ref": "#/$defs/d{}"}})", i + 1);
    out += fmt::format(R"("d{}": {}, )", i, fmt::format(fmt::runtime(link), next));
  }
  return out + fmt::format(R"("d{}": {{"type": "object"}}}}}})", length);
}

// None of these may crash, hang or use up memory; each gives a schema or an error that says why.
TEST_F(Schemas, HostileSchemasAreRefusedOrRelaxed) {
  EXPECT_EQ(error(std::string(limits::kToolSchemaBytes + 1, ' ')).code, Code::too_large);
  EXPECT_THAT(error(repeated(R"({"items":)", 5000) + "{}" + repeated("}", 5000)).message, HasSubstr("nested"));
  EXPECT_THAT(error(repeated(R"({"items":)", 130) + "{}" + repeated("}", 130)).message, HasSubstr("nested"));
  EXPECT_THAT(error(chain(10'000, "{}")).message, HasSubstr("keys"));
  EXPECT_THAT(error(chain(40, R"({{"allOf": [{0}, {0}]}})")).message, HasSubstr("combines"));
  EXPECT_THAT(error(chain(40, R"({{"anyOf": [{0}, {{"not": {0}}}]}})")).message, HasSubstr("combines"));

  std::string pairs = R"({"allOf": [)";
  for (int i = 0; i < 25; ++i)
    pairs += fmt::format(
        R"({}{{"anyOf": [{{"properties": {{"a{}": {{"const": 1}}}}}}, {{"properties": {{"a{}": {{"const": 2}}}}}}]}})",
        i ? "," : "", i, i);
  EXPECT_THAT(relaxed(pairs + "]}"), ElementsAre(HasSubstr("schema too large")));
}

// Nothing finite meets such a schema: found out here, not in the middle of an answer.
TEST_F(Schemas, SchemasOnlyAnInfiniteValueMeetsAreRelaxed) {
  EXPECT_THAT(relaxed(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"), Not(IsEmpty()));
  EXPECT_THAT(relaxed(R"({"type":"array","items":{"$ref":"#"},"minItems":1})"), Not(IsEmpty()));
}

TEST_F(Schemas, LargeButHonestSchemasAreTakenInFull) {
  std::string properties;
  for (int i = 0; i < 1000; ++i) properties += fmt::format("{}\"p{}\": {{\"type\": \"string\"}}", i ? ", " : "", i);
  EXPECT_THAT(relaxed(R"({"type": "object", "properties": {)" + properties + "}}"), IsEmpty());
  EXPECT_THAT(relaxed(chain(1'000, "{}")), IsEmpty());
  EXPECT_THAT(relaxed(chain(500, R"({{"type": "object", "properties": {{"a": {}}}}})")), IsEmpty());
  EXPECT_THAT(relaxed(R"({"type": "string", "minLength": 1000, "maxLength": 100000000})"), IsEmpty());
  EXPECT_THAT(relaxed(R"({"type": "array", "minItems": 3, "maxItems": 100000000, "items": {"type": "object"}})"),
              IsEmpty());
  std::string values;
  for (int i = 0; i < 5000; ++i) values += fmt::format("{}\"value {}\"", i ? "," : "", i);
  EXPECT_THAT(relaxed(R"({"enum": [)" + values + "]}"), IsEmpty());
}

TEST_F(Schemas, ManyRelaxationsAreSummedUp) {
  std::string properties;
  for (int i = 0; i < 100; ++i) properties += fmt::format(R"({}"p{}": {{"not": {{"minLength": 1}}}})", i ? "," : "", i);
  const auto lines = relaxed(R"({"properties": {)" + properties + "}}");
  EXPECT_THAT(lines, SizeIs(65));
  EXPECT_THAT(lines, Contains("and 36 more"));
}

SchemaCheck check_of(std::string_view schema) { return std::move(SchemaCheck::compile(schema)).value(); }

TEST(SchemaCheck, TakesWhatFits) {
  const SchemaCheck check =
      check_of(R"({"type": "object", "properties": {"command": {"type": "string", "not": {"const": "rm"}}}})");
  EXPECT_TRUE(check.check(R"({"command": "ls"})"));
  EXPECT_TRUE(check.check("{}"));
}

TEST(SchemaCheck, NamesEachErrorWithItsPlace) {
  const SchemaCheck check = check_of(R"({"properties": {"command": {"type": "string"}}, "required": ["path"]})");
  const Status status = check.check(R"({"command": 5})");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::invalid);
  EXPECT_THAT(status.error().message,
              AllOf(HasSubstr("at /command: 5 is not of type \"string\""), HasSubstr("at the root: ")));
}

TEST(SchemaCheck, ListsTheFirstFewErrorsOnly) {
  const SchemaCheck check = check_of(R"({"items": {"type": "string"}})");
  const Status status = check.check("[1, 2, 3, 4, 5, 6, 7, 8]");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, AllOf(StartsWith("at /0: "), HasSubstr("at /4: "), Not(HasSubstr("at /5: "))));
}

TEST(SchemaCheck, ATruncatedValueIsNotJson) {
  const SchemaCheck check = check_of("{}");
  for (const char* value : {R"({"command": "l)", "", "\xFF"}) {
    const Status status = check.check(value);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::invalid);
    EXPECT_THAT(status.error().message, HasSubstr("not JSON"));
  }
}

TEST(SchemaCheck, LongValuesAreNotQuotedInFull) {
  const SchemaCheck check = check_of(R"({"type": "integer"})");
  const Status status = check.check("\"" + repeated("\u65e5", 10'000) + "\"");
  ASSERT_FALSE(status);
  EXPECT_LT(status.error().message.size(), 600U);
}

TEST(SchemaCheck, MovesLikeAValue) {
  SchemaCheck check = check_of(R"({"type": "integer"})");
  SchemaCheck other = std::move(check);
  EXPECT_TRUE(other.check("1"));
  other = check_of(R"({"type": "string"})");
  EXPECT_FALSE(other.check("1"));
}

TEST(SchemaCheck, RefusesWhatIsNoSchema) {
  EXPECT_FALSE(SchemaCheck::compile(R"({"type": 5})"));
  EXPECT_FALSE(SchemaCheck::compile("nonsense"));
  EXPECT_TRUE(SchemaCheck::compile("true"));
}

}  // namespace
}  // namespace kvern::constrain
