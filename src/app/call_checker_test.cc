#include "app/call_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvern::app {
namespace {

using testing::HasSubstr;

constexpr const char* kSchema = R"({"type":"object","properties":{"n":{"not":{"const":5}}},"required":["n"]})";

CallToCheck call(const char* schema, const char* arguments) { return {"chatcmpl-1", "run", schema, arguments}; }

TEST(CallChecker, CallsAreCountedAsCheckedOrInvalid) {
  Metrics metrics;
  {
    CallChecker checker(metrics);
    checker.check(call(kSchema, R"({"n":4})"));
    checker.check(call(kSchema, R"({"n":5})"));
    checker.check(call(kSchema, R"({})"));
    checker.check(call(kSchema, R"({"n":)"));
  }
  EXPECT_THAT(metrics.text({}), HasSubstr("{check=\"checked\"} 1\n"));
  EXPECT_THAT(metrics.text({}), HasSubstr("{check=\"invalid\"} 3\n"));
}

TEST(CallChecker, WhatCannotBeCheckedIsCountedAsThat) {
  Metrics metrics;
  {
    CallChecker checker(metrics);
    checker.check(call(R"({"type":5})", "{}"));
    checker.check(call("no schema", "{}"));
  }
  EXPECT_THAT(metrics.text({}), HasSubstr("{check=\"unchecked\"} 2\n"));
}

// However many calls come at once, each is counted.
TEST(CallChecker, NoCallGoesUncounted) {
  Metrics metrics;
  const int calls = static_cast<int>(limits::kCallsToCheck) + 50;
  {
    CallChecker checker(metrics);
    for (int i = 0; i < calls; ++i) checker.check(call(kSchema, R"({"n":4})"));
  }
  const std::string text = metrics.text({});
  const auto count = [&](const std::string& label) {
    const std::size_t at = text.find(label);
    return at == std::string::npos ? -1 : std::stoi(text.substr(at + label.size()));
  };
  EXPECT_EQ(count("{check=\"checked\"} ") + count("{check=\"unchecked\"} "), calls);
}

}  // namespace
}  // namespace kvern::app
