#include "chat/dialect/constraint_writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chat/dialect/test_vocab.h"

namespace kvern::chat {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Counts what is fitted one by one.
class CountingFitter : public constrain::SchemaFitter {
 public:
  explicit CountingFitter(constrain::Compiler& compiler) : fitter_(SchemaFitter::create(compiler)) {}

  Result<constrain::FittedSchema> fit(std::string_view schema, const constrain::JsonStyle& style) override {
    ++fitted;
    return fitter_->fit(schema, style);
  }
  std::optional<constrain::FittedSchema> plain(std::string_view schema,
                                               const constrain::JsonStyle& style) const override {
    return fitter_->plain(schema, style);
  }
  void took(std::string_view schema, const constrain::JsonStyle& style, constrain::FittedSchema schema_taken) override {
    fitter_->took(schema, style, std::move(schema_taken));
  }
  std::optional<constrain::FittedSchema> known(std::string_view schema, const constrain::JsonStyle& style) override {
    return fitter_->known(schema, style);
  }
  std::string why_unsatisfiable(std::string_view schema, const std::string& reason) override {
    return fitter_->why_unsatisfiable(schema, reason);
  }
  int fitted = 0;

 private:
  std::unique_ptr<SchemaFitter> fitter_;
};

class ConstraintWriterTest : public ::testing::Test {
 protected:
  static ChatRequest with_tools(int plain, std::vector<Tool> others) {
    ChatRequest request;
    for (int i = 0; i < plain; ++i)
      request.tools.push_back(
          {fmt::format("tool_{}", i), "",
           R"({"type":"object","properties":{"a":{"type":"array","maxItems":4,"items":{"type":"string"}}}})"});
    for (Tool& tool : others) request.tools.push_back(std::move(tool));
    request.tool_choice.use = ToolUse::required;
    return request;
  }

  // Whether the grammar takes the turn from its first byte to its last.
  bool takes(const ConstraintSpec& spec, std::string_view turn) {
    const auto compiled = compiler_->compile(spec.lark);
    if (!compiled) return false;
    const auto matcher = (*compiled)->start();
    std::vector<TokenId> tokens;
    vocab_.tokenize(turn, SpecialTokens::as_text, tokens);
    for (const TokenId token : tokens) {
      if (!matcher->allows(token) || !matcher->accept(token)) return false;
    }
    return true;
  }

  testing::ByteVocab vocab_;
  std::unique_ptr<constrain::Compiler> compiler_ = std::move(constrain::Compiler::create(vocab_)).value();
  CountingFitter fitter_{*compiler_};
  Chosen chosen_{find_dialect("hermes"), nullptr, true, false};
  ConstraintWriter writer_{chosen_, vocab_, *compiler_, fitter_};
};

TEST_F(ConstraintWriterTest, PlainSchemasAreTriedTogether) {
  bool is_new = false;
  const auto spec = writer_.write(with_tools(30, {}), false, &is_new);
  ASSERT_TRUE(spec);
  EXPECT_TRUE(is_new);
  EXPECT_EQ(fitter_.fitted, 0);
  EXPECT_THAT(spec->relaxed, IsEmpty());
  EXPECT_TRUE(takes(*spec, "<tool_call>\n{\"name\": \"tool_7\", \"arguments\": {\"a\": [\"x\"]"));
  EXPECT_FALSE(takes(*spec, "<tool_call>\n{\"name\": \"tool_7\", \"arguments\": {\"a\": [1"));
  EXPECT_EQ(writer_.write(with_tools(30, {}), false, &is_new)->lark, spec->lark);
  EXPECT_FALSE(is_new);
}

TEST_F(ConstraintWriterTest, WhatAGrammarTookIsNotTriedAgainInAnother) {
  ASSERT_TRUE(writer_.write(with_tools(30, {}), false));
  const std::size_t before = compiler_->compiled_count();
  ChatRequest other = with_tools(29, {});
  other.tool_choice.use = ToolUse::automatic;
  ASSERT_TRUE(writer_.write(other, false));
  EXPECT_EQ(compiler_->compiled_count(), before) << "that is the scheduler's, beside the prompt";
}

// Its arguments are not written from a fitted schema, so no grammar would say that it is none.
TEST_F(ConstraintWriterTest, WhatIsNoSchemaIsToldInEveryDialect) {
  const Tool bad{"bad", "", R"({"type":"object","properties":{"a":{"enum":"x"}}})"};
  for (const char* name : {"hermes", "qwen3-coder", "llama4-pythonic"}) {
    const Chosen chosen{find_dialect(name), nullptr, true, false};
    ConstraintWriter writer(chosen, vocab_, *compiler_, fitter_);
    const auto spec = writer.write(with_tools(2, {bad}), false);
    ASSERT_TRUE(spec) << name;
    EXPECT_THAT(spec->relaxed, ElementsAre(StartsWith("tool bad: /: everything"))) << name;
  }
}

TEST_F(ConstraintWriterTest, OnlyWhatNeedsItIsFitted) {
  const Tool needs{"needs", "", R"({"type":"object","properties":{"a":{"type":"string","pattern":"^x+$"}}})"};
  ASSERT_TRUE(writer_.write(with_tools(30, {needs}), false));
  EXPECT_EQ(fitter_.fitted, 1);
}

// It looks plain, and the grammar that holds it is refused: the others stay as exact as they are.
TEST_F(ConstraintWriterTest, APlainSchemaThatNothingMatchesCostsOnlyItself) {
  const Tool empty{"empty", "", R"({"type":"object","properties":{"a":{"enum":[]}},"required":["a"]})"};
  const auto spec = writer_.write(with_tools(3, {empty}), false);
  ASSERT_TRUE(spec);
  EXPECT_EQ(fitter_.fitted, 4);
  EXPECT_THAT(spec->relaxed, ElementsAre(StartsWith("tool empty: ")));
  EXPECT_FALSE(takes(*spec, "<tool_call>\n{\"name\": \"tool_1\", \"arguments\": {\"a\": [1"));
  EXPECT_TRUE(takes(*spec, "<tool_call>\n{\"name\": \"empty\", \"arguments\": {"));
}

}  // namespace
}  // namespace kvern::chat
