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
