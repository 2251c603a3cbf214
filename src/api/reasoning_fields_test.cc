#include "api/reasoning_fields.h"

#include "api/test_requests.h"

namespace kvern::api {
namespace {

using testing::expect_refused;
using testing::parse_with;
using testing::Refusal;

constexpr const char* kOff = R"({"enable_thinking":false,"thinking":false})";
constexpr const char* kOn = R"({"enable_thinking":true,"thinking":true})";

TEST(Reasoning, WithoutAWordTheModelDecides) {
  const auto request = parse_with("");
  EXPECT_FALSE(request->reasoning.tokens_max);
  EXPECT_EQ(request->reasoning.effort, "");
  EXPECT_EQ(request->template_kwargs, "");
}

TEST(Reasoning, EverySpellingOfABudgetIsRead) {
  for (const char* fields :
       {R"("max_reasoning_tokens":100)", R"("thinking_budget":100)", R"("thinking_budget_tokens":100)",
        R"("reasoning_budget":100)", R"("reasoning":{"max_tokens":100})",
        R"("thinking":{"type":"adaptive","budget_tokens":100})", R"("chat_template_kwargs":{"thinking_budget":100})"}) {
    const auto request = parse_with(fields);
    ASSERT_TRUE(request) << fields << request.error().message;
    EXPECT_EQ(request->reasoning.tokens_max, 100) << fields;
  }
  EXPECT_FALSE(parse_with(R"("reasoning_budget":-1)")->reasoning.tokens_max) << "-1 is no limit";
  EXPECT_EQ(parse_with(R"("reasoning_budget":-1)")->template_kwargs, "");
}

TEST(Reasoning, EverySpellingOfOffIsABudgetOfNothing) {
  for (const char* fields :
       {R"("reasoning":{"enabled":false})", R"("reasoning":{"max_tokens":0})", R"("reasoning":false)",
        R"("thinking":{"type":"disabled"})", R"("thinking":false)", R"("thinking_budget":0)", R"("reasoning_budget":0)",
        R"("enable_thinking":false)", R"("enable_thinking":false,"thinking_budget":500)",
        R"("chat_template_kwargs":{"enable_thinking":false})"}) {
    const auto request = parse_with(fields);
    ASSERT_TRUE(request) << fields << request.error().message;
    EXPECT_EQ(request->reasoning.tokens_max, 0) << fields;
    EXPECT_EQ(request->template_kwargs, kOff) << fields;
  }
}

TEST(Reasoning, OnIsSaidToTheTemplateAndLimitsNothing) {
  for (const char* fields : {R"("reasoning":{"enabled":true})", R"("thinking":{"type":"enabled"})",
                             R"("enable_thinking":true)", R"("chat_template_kwargs":{"enable_thinking":true})"}) {
    const auto request = parse_with(fields);
    ASSERT_TRUE(request) << fields << request.error().message;
    EXPECT_FALSE(request->reasoning.tokens_max) << fields;
    EXPECT_EQ(request->template_kwargs, kOn) << fields;
  }
}

TEST(Reasoning, AnEffortGoesToTheTemplateAndOnlyNoneIsABudget) {
  EXPECT_EQ(parse_with(R"("reasoning_effort":"low")")->template_kwargs, R"({"reasoning_effort":"low"})");
  EXPECT_EQ(parse_with(R"("reasoning":{"effort":"xhigh"})")->template_kwargs, R"({"reasoning_effort":"xhigh"})");
  EXPECT_EQ(parse_with(R"("reasoning_effort":"low")")->reasoning.effort, "low");
  EXPECT_FALSE(parse_with(R"("reasoning_effort":"minimal")")->reasoning.tokens_max);
  const auto none = parse_with(R"("reasoning_effort":"none")");
  EXPECT_EQ(none->reasoning.tokens_max, 0);
  EXPECT_EQ(none->template_kwargs, R"({"reasoning_effort":"none","enable_thinking":false,"thinking":false})");
  const auto both = parse_with(R"("reasoning":{"effort":"high","max_tokens":50})");
  EXPECT_EQ(both->reasoning.tokens_max, 50);
  EXPECT_EQ(both->reasoning.effort, "high");
}

// The client knows its template better.
TEST(Reasoning, WhatTheKwargsSayStays) {
  EXPECT_EQ(parse_with(R"("chat_template_kwargs":{"custom":1})")->template_kwargs, R"({"custom":1})");
  EXPECT_EQ(parse_with(R"("reasoning_effort":"low","chat_template_kwargs":{"b":1})")->template_kwargs,
            R"({"b":1,"reasoning_effort":"low"})");
  EXPECT_EQ(
      parse_with(R"("reasoning_effort":"low","chat_template_kwargs":{"reasoning_effort":"high"})")->template_kwargs,
      R"({"reasoning_effort":"high"})");
  EXPECT_EQ(parse_with(R"("reasoning_effort":"none","chat_template_kwargs":{"enable_thinking":true,"thinking":1})")
                ->template_kwargs,
            R"({"enable_thinking":true,"thinking":1,"reasoning_effort":"none"})");
  EXPECT_FALSE(parse_with(R"("chat_template_kwargs":{"thinking_budget":"much"})")->reasoning.tokens_max);
}

TEST(Reasoning, AWrongFieldIsNamed) {
  for (const Refusal& refusal : std::initializer_list<Refusal>{
           {R"("reasoning_effort":3)", "reasoning_effort", "expected a string"},
           {fmt::format(R"("reasoning_effort":"{}")", std::string(200, 'x')), "reasoning_effort", "expected a word"},
           {R"("reasoning":5)", "reasoning", "expected an object, found a number"},
           {R"("reasoning":{"effort":1})", "reasoning.effort", "expected a string"},
           {R"("reasoning":{"max_tokens":-2})", "reasoning.max_tokens", "found -2"},
           {R"("reasoning":{"enabled":"yes"})", "reasoning.enabled", "expected true or false"},
           {R"("thinking":{"type":"often"})", "thinking.type", "found \"often\""},
           {R"("thinking":{"budget_tokens":"x"})", "thinking.budget_tokens", "expected a whole number"},
           {R"("thinking_budget":1.5)", "thinking_budget", "found 1.5"},
           {R"("enable_thinking":1)", "enable_thinking", "expected true or false"},
           {R"("chat_template_kwargs":"x")", "chat_template_kwargs", "expected an object, found a string"}})
    expect_refused(parse_with(refusal.text), refusal);
}

}  // namespace
}  // namespace kvern::api
