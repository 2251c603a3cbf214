#include "app/priority.h"

#include <gtest/gtest.h>

namespace kvern::app {
namespace {

ChatRequest title() {
  ChatRequest request;
  request.format.kind = FormatKind::json_schema;
  request.tokens_max = 512;
  return request;
}

TEST(Priority, ARequestIsInteractiveUnlessSomethingSpeaksAgainstIt) {
  EXPECT_EQ(priority_of(ChatRequest(), ""), Priority::interactive);
  EXPECT_EQ(priority_of(ChatRequest(), "claude:1b2c"), Priority::interactive);
  EXPECT_EQ(priority_of("codex:1b2c"), Priority::interactive);
}

TEST(Priority, ASessionsAgentIsASubAgent) {
  EXPECT_EQ(priority_of(ChatRequest(), "claude:1b2c/a7"), Priority::sub_agent);
  EXPECT_EQ(priority_of("claude:1b2c/a7"), Priority::sub_agent);
}

TEST(Priority, TheNamesThatLaunchersGiveToRolesSayIt) {
  ChatRequest request;
  request.model = "coder:subagent";
  EXPECT_EQ(priority_of(request, "claude:1b2c"), Priority::sub_agent);
  request.model = "coder:aux";
  EXPECT_EQ(priority_of(request, ""), Priority::sub_agent);
  request.model = "coder:7b";
  EXPECT_EQ(priority_of(request, ""), Priority::interactive);
}

TEST(Priority, AShortJsonAnswerWithoutToolsIsBackground) {
  EXPECT_EQ(priority_of(title(), "claude:1b2c"), Priority::background);
  ChatRequest request = title();
  request.tools.emplace_back();
  EXPECT_EQ(priority_of(request, "claude:1b2c"), Priority::interactive);
  request = title();
  request.tokens_max.reset();
  EXPECT_EQ(priority_of(request, ""), Priority::interactive);
  request = title();
  request.format.kind = FormatKind::text;
  EXPECT_EQ(priority_of(request, ""), Priority::interactive);
}

TEST(Priority, AClientCanSayThatARequestIsBackground) {
  EXPECT_EQ(priority_of(ChatRequest(), "background"), Priority::background);
  EXPECT_EQ(priority_of("nightly/background"), Priority::background);
}

}  // namespace
}  // namespace kvern::app
