#include "api/request_defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/openai_chat.h"

namespace kvern::api {
namespace {

using testing::HasSubstr;

Result<RequestDefaults> defaults(std::vector<std::string> pairs) { return parse_request_defaults(pairs); }

TEST(RequestDefaults, PairsAndListsOfPairsAreRead) {
  const auto read = defaults({"temperature=0.7,top-p=0.8", "top_k=20", "max_tokens=512", "seed=7"});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_FLOAT_EQ(read->sampling.temperature, 0.7F);
  EXPECT_FLOAT_EQ(read->sampling.top_p, 0.8F);
  EXPECT_EQ(read->sampling.top_k, 20);
  EXPECT_EQ(read->sampling.seed, 7U);
  EXPECT_EQ(read->tokens_max, 512);
}

TEST(RequestDefaults, WrongOnesAreNamed) {
  EXPECT_THAT(defaults({"temperature"}).error().message, HasSubstr("FIELD=VALUE"));
  EXPECT_THAT(defaults({"temprature=1"}).error().message, HasSubstr("temprature"));
  EXPECT_THAT(defaults({"temperature=warm"}).error().message, HasSubstr("expected a number"));
  EXPECT_THAT(defaults({"temperature=3"}).error().message, HasSubstr("temperature: "));
  EXPECT_THAT(defaults({"max_tokens=0"}).error().message, HasSubstr("max_tokens: "));
  EXPECT_FALSE(defaults({""}));
  EXPECT_FALSE(defaults({"top_k=1,"}));
}

TEST(RequestDefaults, WordsAboutReasoningGoToTheTemplate) {
  const auto read = defaults({"reasoning_budget=512,reasoning_effort=low", "chat_template_kwargs={\"a\":[1,2]}"});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->template_kwargs, R"({"thinking_budget":512,"reasoning_effort":"low","a":[1,2]})");
  EXPECT_EQ(defaults({"reasoning_budget=-1"})->template_kwargs, "");
  EXPECT_THAT(defaults({"enable_thinking=perhaps"}).error().message, HasSubstr("true or false"));
  EXPECT_THAT(defaults({"reasoning_budget=x"}).error().message, HasSubstr("number of tokens"));
  EXPECT_THAT(defaults({"chat_template_kwargs=[1]"}).error().message, HasSubstr("a JSON object"));
}

ChatRequest asked(const std::string& fields, std::vector<std::string> pairs) {
  const auto set = defaults(std::move(pairs));
  EXPECT_TRUE(set);
  const auto request = parse_chat_request(R"({"messages":[{"role":"user","content":"x"}])" + fields + "}", *set);
  EXPECT_TRUE(request) << request.error().message;
  return *request;
}

TEST(RequestDefaults, ARequestThatIsSilentAboutReasoningGetsTheServersWord) {
  const ChatRequest off = asked("", {"reasoning_budget=0"});
  EXPECT_EQ(off.reasoning.tokens_max, 0);
  EXPECT_THAT(off.template_kwargs, HasSubstr("\"enable_thinking\":false"));
  EXPECT_EQ(asked("", {"reasoning_budget=512"}).reasoning.tokens_max, 512);
  EXPECT_EQ(asked("", {"reasoning_effort=low"}).reasoning.effort, "low");
  const ChatRequest on = asked(R"(,"enable_thinking":true)", {"enable_thinking=false", "reasoning_budget=0"});
  EXPECT_FALSE(on.reasoning.tokens_max);
  EXPECT_THAT(on.template_kwargs,
              testing::AllOf(HasSubstr("\"enable_thinking\":true"), testing::Not(HasSubstr("false"))));
  EXPECT_EQ(asked(R"(,"reasoning_budget":7)", {"reasoning_budget=0"}).reasoning.tokens_max, 7);
  const ChatRequest both = asked(R"(,"chat_template_kwargs":{"a":1})", {"chat_template_kwargs={\"a\":2,\"b\":3}"});
  EXPECT_EQ(both.template_kwargs, R"({"a":1,"b":3})");
}

TEST(RequestDefaults, ARequestsOwnFieldsWin) {
  const auto set = defaults({"temperature=0.1,max_tokens=10,top_k=3"});
  ASSERT_TRUE(set);
  const auto request = parse_chat_request(
      R"({"messages":[{"role":"user","content":"x"}],"temperature":1,"max_completion_tokens":99})", *set);
  ASSERT_TRUE(request);
  EXPECT_FLOAT_EQ(request->sampling.temperature, 1);
  EXPECT_EQ(request->sampling.top_k, 3);
  EXPECT_EQ(request->tokens_max, 99);
}

}  // namespace
}  // namespace kvern::api
