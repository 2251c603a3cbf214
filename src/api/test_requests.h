// For tests: chat requests out of a few fields, and what is expected of refused ones.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "api/openai_chat.h"

namespace kvern::api::testing {

// A request of one user message and the given fields.
inline Result<ChatRequest> parse_with(std::string_view fields) {
  return parse_chat_request(
      fmt::format(R"({{"messages":[{{"role":"user","content":"hello"}}]{}{}}})", fields.empty() ? "" : ",", fields));
}

struct Refusal {
  std::string text;  // fields of a request, or a list of messages
  std::string field;
  std::string message;  // a part of it
  Code code = Code::invalid;
};

inline void expect_refused(const Result<ChatRequest>& request, const Refusal& expected) {
  ASSERT_FALSE(request) << expected.text.substr(0, 200);
  EXPECT_EQ(request.error().code, expected.code) << expected.text.substr(0, 200);
  EXPECT_EQ(request.error().field, expected.field) << expected.text.substr(0, 200);
  EXPECT_NE(request.error().message.find(expected.message), std::string::npos) << request.error().message;
}

}  // namespace kvern::api::testing
