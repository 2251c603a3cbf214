#include "app/session_key.h"

#include <gtest/gtest.h>

namespace kvern::app {
namespace {

http::Request with(http::Headers headers) {
  http::Request request;
  request.headers = std::move(headers);
  return request;
}

TEST(SessionKey, ASubAgentHasItsOwnKeyInItsParentsSession) {
  EXPECT_EQ(session_key(with({{"x-claude-code-session-id", "s"}}), ""), "claude:s");
  EXPECT_EQ(session_key(with({{"x-claude-code-session-id", "s"}, {"x-claude-code-agent-id", "a"}}), ""), "claude:s/a");
}

TEST(SessionKey, AHeaderIsStrongerThanTheBody) {
  EXPECT_EQ(session_key(with({{"session-id", "s"}, {"thread-id", "t"}}), "p"), "codex:t");
  EXPECT_EQ(session_key(with({{"x-session-affinity", "o"}}), "p"), "o");
  EXPECT_EQ(session_key(with({}), "p"), "p");
  EXPECT_EQ(session_key(with({}), ""), "");
}

TEST(SessionKey, OnlyAnAgentStandsBehindASlash) {
  EXPECT_EQ(session_key(with({}), "team/alice"), "team:alice");
  EXPECT_EQ(session_key(with({{"x-claude-code-session-id", "a/b"}, {"x-claude-code-agent-id", "c/d"}}), ""),
            "claude:a:b/c:d");
}

TEST(SessionKey, ALongOneIsCut) {
  EXPECT_LE(session_key(with({{"session-id", std::string(100'000, 'x')}}), "").size(), 1000U);
}

}  // namespace
}  // namespace kvern::app
