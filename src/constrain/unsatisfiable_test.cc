#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "constrain/schema.h"
#include "constrain/test_vocab.h"

namespace kvern::constrain {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class UnsatisfiableSchemas : public ::testing::Test {
 protected:
  std::string proof(std::string_view schema) {
    const auto fitted = fitter_->fit(schema, JsonStyle{});
    EXPECT_TRUE(fitted) << schema << ": " << (fitted ? "" : fitted.error().message);
    if (!fitted) return "?";
    return fitted->unsatisfiable.empty() ? "" : fitter_->why_unsatisfiable(schema, fitted->unsatisfiable);
  }

  TestVocab vocab_;
  std::unique_ptr<Compiler> compiler_ = std::move(Compiler::create(vocab_)).value();
  std::unique_ptr<SchemaFitter> fitter_ = SchemaFitter::create(*compiler_);
};

TEST_F(UnsatisfiableSchemas, NameThePlaceThatNothingFits) {
  for (const auto& [schema, place] : std::initializer_list<std::pair<const char*, const char*>>{
           {"false", "/: "},
           {R"({"enum": []})", "/enum: the list is empty"},
           {R"({"allOf": [{"type": "string"}, {"type": "number"}]})", "/allOf: "},
           {R"({"type": "integer", "minimum": 5, "maximum": 1})", "/minimum: "},
           {R"({"type": "string", "minLength": 5, "maxLength": 1})", "/minLength: "},
           {R"({"type": "array", "minItems": 3, "maxItems": 2})", "/minItems: "},
           {R"({"type": "string", "enum": [1, 2]})", "/enum: "},
           {R"({"anyOf": [{"enum": []}, {"type": "number", "minimum": 2, "maximum": 1}]})", "/anyOf: "},
           {R"({"type": "array", "minItems": 1, "items": {"const": 1, "type": "string"}})", "/items/const: "},
           {R"({"type": "array", "minItems": 2, "prefixItems": [true, {"enum": []}]})", "/prefixItems/1/enum: "},
           {R"({"properties": {"a/b": {"enum": []}}, "required": ["a/b"], "type": "object"})",
            "/properties/a~1b/enum: "},
           {R"({"properties": {"x": {"enum": []}, "a": {"$ref": "#/$defs/n"}}, "required": ["a"], "type": "object",
                "$defs": {"n": {"type": "object", "properties": {"m": false}, "required": ["m"]}}})",
            "/$defs/n/properties/m: "},
           {R"({"type": "string", "not": {"type": "string"}})", "/"},
       }) {
    EXPECT_THAT(proof(schema), StartsWith(place)) << schema;
  }
}

TEST_F(UnsatisfiableSchemas, AreOnlyThoseOfWhichItIsCertain) {
  for (const char* schema :
       {R"({"type": "object", "properties": {"a": {"enum": []}}})", R"({"type": "array", "items": false})",
        R"({"anyOf": [{"enum": []}, {"type": "string"}]})", R"({"$ref": "#"})",
        R"({"type": "array", "prefixItems": [{"enum": []}]})", R"({"type": "integer", "minimum": 1, "maximum": 1})",
        R"_({"type": "string", "not": {"pattern": "^a(?=b)"}})_"})
    EXPECT_EQ(proof(schema), "") << schema;
}

}  // namespace
}  // namespace kvern::constrain
