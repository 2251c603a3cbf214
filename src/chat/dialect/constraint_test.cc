// What the grammars say, with a fitter that leaves schemas as they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "chat/dialect/dialect.h"
#include "chat/dialect/test_vocab.h"

namespace kvern::chat {
namespace {

using testing::ByteVocab;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const Dialect& hermes() { return *find_dialect("hermes"); }
const Dialect& coder() { return *find_dialect("qwen3-coder"); }

constrain::Compiler& compiler() {
  static const auto made = constrain::Compiler::create(*new ByteVocab());
  return **made;
}

class FakeFitter : public constrain::SchemaFitter {
 public:
  Result<constrain::FittedSchema> fit(std::string_view schema, const constrain::JsonStyle& style) override {
    styles.push_back(style.item_separator + style.key_separator);
    if (!parse_json(schema)) return fail(Code::invalid, "not a schema");
    constrain::FittedSchema fitted{std::string(schema), {}};
    if (schema.find("\"not\"") != std::string_view::npos) fitted.relaxed.push_back("/: not");
    return fitted;
  }
  std::optional<constrain::FittedSchema> plain(std::string_view, const constrain::JsonStyle&) const override {
    return std::nullopt;
  }
  void took(std::string_view, const constrain::JsonStyle&, constrain::FittedSchema) override {}
  std::optional<constrain::FittedSchema> known(std::string_view, const constrain::JsonStyle&) override {
    return std::nullopt;
  }
  std::string why_unsatisfiable(std::string_view, const std::string& reason) override { return reason; }
  std::vector<std::string> styles;
};

ChatRequest request_with(std::vector<Tool> tools) {
  ChatRequest request;
  request.tools = std::move(tools);
  return request;
}

Result<ConstraintSpec> write(const Dialect& dialect, const ChatRequest& request, const ByteVocab& vocab = ByteVocab()) {
  FakeFitter fitter;
  return write_constraint(dialect, false, false, request, vocab, compiler(), fitter);
}

const std::vector<Tool> kTwoTools = {{"a", "", R"({"type":"object"})"}, {"b", "", R"({"type":"object"})"}};

TEST(WriteConstraint, NothingToEnforceIsNoGrammar) {
  EXPECT_EQ(write(hermes(), request_with({}))->lark, "");
  ChatRequest none = request_with(kTwoTools);
  none.tool_choice.use = ToolUse::none;
  EXPECT_EQ(write(hermes(), none)->lark, "");
}

TEST(WriteConstraint, ANamedToolIsTheOnlyOne) {
  ChatRequest request = request_with(kTwoTools);
  request.tool_choice = {ToolUse::required, "b"};
  const std::string lark = write(hermes(), request)->lark;
  EXPECT_THAT(lark, HasSubstr("tool: t1\n"));
  EXPECT_THAT(lark, Not(HasSubstr("call )*")));
}

TEST(WriteConstraint, ParallelCallsCanBeForbidden) {
  ChatRequest request = request_with(kTwoTools);
  EXPECT_THAT(write(hermes(), request)->lark, HasSubstr("call )*"));
  request.parallel_tool_calls = false;
  EXPECT_THAT(write(hermes(), request)->lark, Not(HasSubstr("call )*")));
}

TEST(WriteConstraint, ControlTokensAreNamedById) {
  const ByteVocab vocab({"<tool_call>", "</tool_call>"});
  const std::string lark = write(hermes(), request_with(kTwoTools), vocab)->lark;
  EXPECT_THAT(lark, HasSubstr("opening: TEXT <[257]>\n"));
  EXPECT_THAT(lark, HasSubstr("<[258]>"));
  EXPECT_THAT(lark, Not(HasSubstr("tool_call>")));
}

TEST(WriteConstraint, ArgumentsAreObjectsInTheDialectsSpacing) {
  FakeFitter fitter;
  const auto spec =
      write_constraint(hermes(), false, false, request_with({{"a", "", "{}"}}), ByteVocab(), compiler(), fitter);
  EXPECT_THAT(spec->lark, HasSubstr(R"(%json {"type":"object"})"));
  EXPECT_THAT(fitter.styles, ElementsAre(", : "));
}

TEST(WriteConstraint, ABadSchemaCostsItsToolItsExactnessAndTheOthersNothing) {
  for (const Dialect* dialect : all_dialects()) {
    const auto spec = write(*dialect, request_with({kTwoTools[0], {"b", "", "{\"type\":"}}));
    ASSERT_TRUE(spec.has_value()) << dialect->name << ": " << spec.error().message;
    EXPECT_THAT(spec->relaxed, ElementsAre(::testing::StartsWith("tool b: /: everything, any JSON object is taken: ")))
        << dialect->name;
  }
}

TEST(WriteConstraint, ParametersThatAreNoObjectCostTheirToolItsExactness) {
  Tool odd{"b", "", "{}"};
  odd.parameters_fault = "tools[1].function.parameters: expected an object, found a string";
  for (const Dialect* dialect : all_dialects()) {
    const auto spec = write(*dialect, request_with({kTwoTools[0], odd}));
    ASSERT_TRUE(spec.has_value()) << dialect->name << ": " << spec.error().message;
    EXPECT_THAT(spec->relaxed, ElementsAre("tool b: /: everything, any JSON object is taken: " + odd.parameters_fault))
        << dialect->name;
  }
}

TEST(WriteConstraint, IsGivenUpBetweenTwoTools) {
  for (const Dialect* dialect : {&hermes(), find_dialect("harmony")}) {
    FakeFitter fitter;
    int asked = 0;
    const auto spec = write_constraint(*dialect, false, false, request_with(kTwoTools), ByteVocab(), compiler(), fitter,
                                       [&asked] { return ++asked == 2; });
    ASSERT_FALSE(spec.has_value());
    EXPECT_EQ(spec.error().code, Code::cancelled);
    EXPECT_EQ(fitter.styles.size(), 1U);
  }
}

TEST(WriteConstraint, ABadSchemaOfTheAnswerIsNamedByItsPlaceInTheRequest) {
  ChatRequest format;
  format.format = {FormatKind::json_schema, "{"};
  EXPECT_EQ(write(hermes(), format).error().field, "response_format.json_schema.schema");
}

TEST(WriteConstraint, SaysWhatItCannotEnforceAndForWhichTool) {
  const Tool tool{"t", "", R"({"type":"object","minProperties":1,"properties":{
      "s":{"type":"string","pattern":"^a$"},"n":{"type":"integer","not":{"const":1}}}})"};
  EXPECT_THAT(write(hermes(), request_with({tool}))->relaxed, ElementsAre("tool t: /: not"));
  EXPECT_THAT(write(coder(), request_with({tool}))->relaxed,
              ElementsAre("tool t: minProperties of the parameters is not enforced", "tool t: /properties/n: /: not"));
}

TEST(WriteConstraint, PropertiesTakeTheirDefinitionsWithThem) {
  const Tool tool{"t", "",
                  R"({"type":"object","$defs":{"n":{"type":"integer"}},"properties":{"p":{"$ref":"#/$defs/n"}}})"};
  EXPECT_THAT(write(coder(), request_with({tool}))->lark,
              HasSubstr(R"(%json {"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}})"));
}

TEST(WriteConstraint, ParametersThatCannotBeSplitAreGeneric) {
  const Tool tool{"t", "", R"({"$ref":"#/$defs/x","$defs":{"x":{"type":"object"}}})"};
  const auto spec = write(coder(), request_with({tool}));
  EXPECT_THAT(spec->lark, HasSubstr("any_parameter_"));
}

// An agent sends its whole tool set with each turn.
TEST(WriteConstraint, SixtyToolsStaySmall) {
  const std::string schema = R"({"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"},
      "mode":{"enum":["a","b"]},"force":{"type":"boolean"}},"required":["path"]})";
  std::vector<Tool> tools;
  for (int i = 0; i < 60; ++i) tools.push_back({"tool_" + std::to_string(i), "", schema});
  for (const Dialect* dialect : all_dialects())
    EXPECT_LT(write(*dialect, request_with(tools))->lark.size(), 60 * (schema.size() + 500)) << dialect->name;
}

}  // namespace
}  // namespace kvern::chat
