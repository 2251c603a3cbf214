// Real-world-like schemas: each must compile, and nothing its grammar lets through may be invalid.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "constrain/schema.h"
#include "constrain/test_vocab.h"

namespace kvern::constrain {
namespace {

constexpr std::array<std::string_view, 36> kSchemas = {
    R"({})",
    R"({"type": "object"})",
    R"({"type": "object", "properties": {}, "additionalProperties": false})",
    R"({"description": "no type", "properties": {"a": {"type": "string"}}, "required": ["a"]})",
    R"({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"command": {"type": "string",
        "description": "The command"}, "timeout": {"type": "number", "maximum": 600000}}, "required": ["command"],
        "additionalProperties": false})",
    R"({"type": "object", "properties": {"mode": {"const": "fast"}, "level": {"const": 3}, "none": {"const": null}},
        "required": ["mode", "level", "none"]})",
    R"({"type": "object", "properties": {"v": {"enum": ["a", 1, true, null, 2.5]}}, "required": ["v"],
        "additionalProperties": false})",
    R"({"type": "object", "properties": {"assignee": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}},
        "required": ["assignee"]})",
    R"({"type": "object", "properties": {"env": {"type": "object", "additionalProperties": {"type": "string"}}},
        "required": ["env"], "additionalProperties": false})",
    R"({"type": "object", "patternProperties": {"^x-[a-z]+$": {"type": "integer"}}, "additionalProperties": false})",
    R"({"type": "object", "properties": {"id": {"type": "string", "pattern": "^[a-z]{2}-[0-9]+$"}}, "required": ["id"]})",
    R"({"type": "object", "properties": {"id": {"type": "string", "pattern": "^foo"}}, "required": ["id"],
        "additionalProperties": false})",
    R"({"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}, "ip": {"type": "string",
        "format": "ipv4"}}, "required": ["id", "ip"], "additionalProperties": false})",
    R"({"type": "object", "properties": {"url": {"type": "string", "format": "uri"}, "note": {"type": "string",
        "format": "markdown"}}, "required": ["url"], "additionalProperties": false})",
    R"({"type": "object", "properties": {"n": {"type": "integer", "minimum": -5, "maximum": 17}, "x": {"type": "number",
        "exclusiveMinimum": 0, "exclusiveMaximum": 1}}, "required": ["n", "x"], "additionalProperties": false})",
    R"({"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 5}}, "required": ["n"]})",
    R"({"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        "minItems": 1, "maxItems": 3})",
    R"({"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}], "items": false, "minItems": 2})",
    R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["value", "next"],
        "additionalProperties": false}}})",
    R"({"type": "object", "properties": {"filter": {"$ref": "#/definitions/Filter"}}, "required": ["filter"],
        "definitions": {"Filter": {"type": "object", "properties": {"and": {"type": "array", "items": {"$ref":
        "#/definitions/Filter"}}, "eq": {"type": "string"}}, "additionalProperties": false}}})",
    R"({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b":
        {"type": "integer"}}, "required": ["b"]}]})",
    R"({"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"extra": {"type": "boolean"}}}], "$defs": {"base": {"type":
        "object", "properties": {"name": {"type": "string", "minLength": 1}}, "required": ["name"]}}})",
    R"({"type": "object", "properties": {"cmd": {"type": "string", "not": {"const": "rm"}}}, "required": ["cmd"]})",
    R"({"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"], "if": {"properties":
        {"kind": {"const": "a"}}}, "then": {"required": ["x"]}, "else": {"required": ["y"]}})",
    R"({"type": "object", "properties": {"card": {"type": "string"}}, "dependentRequired": {"card": ["address"]}})",
    R"({"type": "array", "items": {"type": "string"}, "uniqueItems": true})",
    R"({"type": ["object", "null"], "properties": {"a": {"type": ["string", "integer", "null"]}}})",
    R"({"oneOf": [{"type": "object", "properties": {"t": {"const": "x"}}, "required": ["t"]}, {"type": "object",
        "properties": {"t": {"const": "y"}}, "required": ["t"]}]})",
    R"({"oneOf": [{"type": "object", "properties": {"path": {"type": "string"}}}, {"type": "object", "properties":
        {"url": {"type": "string"}}}]})",
    R"({"type": "object", "properties": {"todos": {"type": "array", "minItems": 1, "items": {"type": "object",
        "properties": {"content": {"type": "string", "minLength": 1}, "status": {"type": "string", "enum": ["pending",
        "in_progress", "completed"]}}, "required": ["content", "status"], "additionalProperties": false}}},
        "required": ["todos"], "additionalProperties": false})",
    R"({"type": "object", "properties": {"s": {"type": "string", "minLength": 2, "maxLength": 5}}, "required": ["s"],
        "additionalProperties": false})",
    R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "minProperties": 1,
        "additionalProperties": false})",
    R"({"type": "object", "properties": {"\u65e5\u672c \"key\"": {"const": "caf\u00e9 \\ \n"}}, "required":
        ["\u65e5\u672c \"key\""], "additionalProperties": false})",
    R"({"const": {"a": [1, null, "x"], "b": {"c": false}}})",
    R"({"type": "object", "properties": {"p": {"type": "string", "pattern": "^(?!/)[a-z/]+$"}}, "required": ["p"]})",
    R"({"type": "object", "properties": {"when": {"type": "string", "format": "date-time", "pattern":
        "^20[0-9]{2}-[01][0-8]-[0-2][0-8]T[0-9]{2}:[0-9]{2}:[0-5][0-9]Z$"}}, "required": ["when"],
        "additionalProperties": false})",
};

class Generation : public ::testing::TestWithParam<std::size_t> {
 protected:
  // Draws allowed tokens at random until the grammar is content. After some freedom it leans
  // towards tokens that close what is open, so most runs end. Empty when one does not.
  std::string generate(const Compiled& compiled, std::uint32_t seed) {
    const auto matcher = compiled.start();
    std::mt19937 random(seed);
    std::string text;
    for (int step = 0; step < 600; ++step) {
      const auto mask = matcher->mask();
      EXPECT_TRUE(mask) << text;
      if (!mask) return {};
      const TokenId token = pick(*mask, text, step, random);
      EXPECT_TRUE(matcher->allows(token)) << text << " then token " << token;
      if (vocab_.ends_generation(token)) return text;
      EXPECT_TRUE(matcher->accept(token)) << text;
      text += vocab_.piece(token);
      if (matcher->finished()) return text;
    }
    return {};
  }

  TokenId pick(std::span<const std::uint32_t> mask, std::string_view text, int step, std::mt19937& random) {
    std::vector<TokenId> all;
    std::vector<TokenId> digits;
    std::vector<TokenId> closing;
    for (TokenId token = 0; token < vocab_.size(); ++token) {
      const auto index = static_cast<std::size_t>(token);
      if ((mask[index / 32] >> (index % 32) & 1) == 0) continue;
      const std::string_view piece = vocab_.piece(token);
      (lengthens_a_number(text, piece) ? digits : all).push_back(token);
      if (piece == "\"" || piece == "}" || piece == "]" || vocab_.ends_generation(token)) closing.push_back(token);
    }
    if (!closing.empty() && random() % 100 < (step < 12 ? 10U : 80U)) return closing[random() % closing.size()];
    if (all.empty()) all = digits;
    return all[random() % all.size()];
  }

  // No grammar keeps a number within what a double can hold, so the draw does.
  static bool lengthens_a_number(std::string_view text, std::string_view piece) {
    constexpr std::string_view kNumber = "0123456789.eE+-";
    const std::size_t last = text.find_last_not_of(kNumber);
    const std::size_t length = text.size() - (last == std::string_view::npos ? 0 : last + 1);
    return kNumber.find(piece.front()) != std::string_view::npos && length + piece.size() > 4;
  }

  TestVocab vocab_;
};

TEST_P(Generation, WhateverTheGrammarLetsThroughIsValid) {
  const std::string_view schema = kSchemas[GetParam()];
  const auto compiler = std::move(Compiler::create(vocab_)).value();
  const auto fitted = SchemaFitter::create(*compiler)->fit(schema, JsonStyle{});
  ASSERT_TRUE(fitted) << schema << "\n" << (fitted ? "" : fitted.error().message);
  const auto compiled = compiler->compile("start: %json " + fitted->json);
  ASSERT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
  const auto check = SchemaCheck::compile(schema);
  ASSERT_TRUE(check);
  const auto any = SchemaCheck::compile("true");
  ASSERT_TRUE(any);

  int complete = 0;
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    const std::string text = generate(**compiled, seed);
    if (text.empty()) continue;
    ++complete;
    const Status status = fitted->relaxed.empty() ? check->check(text) : any->check(text);
    EXPECT_TRUE(status) << schema << "\n" << text << "\n" << (status ? "" : status.error().message);
  }
  EXPECT_GT(complete, 5) << schema;
}

INSTANTIATE_TEST_SUITE_P(Schemas, Generation, ::testing::Range<std::size_t>(0, kSchemas.size()));

}  // namespace
}  // namespace kvern::constrain
