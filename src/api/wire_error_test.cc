#include "api/wire_error.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace kvern::api {
namespace {

Json error_of(const std::string& body) {
  const auto json = parse_json(body);
  EXPECT_TRUE(json) << body;
  return json ? json->at("error") : Json();
}

TEST(WireError, EveryCodeHasItsStatusTypeAndWord) {
  struct Case {
    Code code;
    int status;
    const char* type;
    const char* word;  // nullptr: null
  };
  for (const Case& c :
       std::initializer_list<Case>{{Code::invalid, 400, "invalid_request_error", nullptr},
                                   {Code::unauthorized, 401, "invalid_request_error", "invalid_api_key"},
                                   {Code::not_found, 404, "invalid_request_error", "not_found"},
                                   {Code::too_large, 413, "invalid_request_error", "request_too_large"},
                                   {Code::too_long, 400, "invalid_request_error", "context_length_exceeded"},
                                   {Code::busy, 503, "server_error", "overloaded"},
                                   {Code::cancelled, 499, "server_error", "cancelled"},
                                   {Code::corrupt, 500, "server_error", "internal_error"},
                                   {Code::failed, 500, "server_error", "internal_error"}}) {
    const WireError wire = openai_error({c.code, "why", ""});
    EXPECT_EQ(wire.status, c.status) << to_string(c.code);
    EXPECT_EQ(http_status(c.code), c.status) << to_string(c.code);
    const Json error = error_of(wire.body);
    EXPECT_EQ(error.at("message"), "why") << to_string(c.code);
    EXPECT_EQ(error.at("type"), c.type) << to_string(c.code);
    EXPECT_EQ(error.at("param"), nullptr) << to_string(c.code);
    EXPECT_EQ(error.at("code"), c.word == nullptr ? Json() : Json(c.word)) << to_string(c.code);
    EXPECT_EQ(wire.retry_after_s, c.code == Code::busy ? 1 : 0) << to_string(c.code);
  }
}

TEST(WireError, AnthropicsErrorsHaveItsEnvelopeAndItsStatus) {
  struct Case {
    Code code;
    int status;
    const char* type;
  };
  for (const Case& c : std::initializer_list<Case>{{Code::invalid, 400, "invalid_request_error"},
                                                   {Code::unauthorized, 401, "authentication_error"},
                                                   {Code::not_found, 404, "not_found_error"},
                                                   {Code::too_large, 413, "request_too_large"},
                                                   {Code::too_long, 400, "invalid_request_error"},
                                                   {Code::busy, 529, "overloaded_error"},
                                                   {Code::failed, 500, "api_error"}}) {
    const WireError wire = wire_error(Wire::anthropic, {c.code, "why", ""}, "req_1");
    EXPECT_EQ(wire.status, c.status) << to_string(c.code);
    const Json body = parse_json(wire.body).value();
    EXPECT_EQ(body.at("type"), "error");
    EXPECT_EQ(body.at("error").at("type"), c.type);
    EXPECT_EQ(body.at("request_id"), "req_1");
    EXPECT_EQ(wire.retry_after_s, c.code == Code::busy ? 1 : 0);
  }
  EXPECT_TRUE(is_anthropic_path("/v1/messages"));
  EXPECT_TRUE(is_anthropic_path("/v1/messages/count_tokens"));
  EXPECT_FALSE(is_anthropic_path("/v1/messages_of_others"));
}

// Most clients show the message and nothing else.
TEST(WireError, TheFieldIsTheParamAndPartOfTheMessage) {
  const Json error = error_of(openai_error({Code::invalid, "expected a string", "messages[0].role"}).body);
  EXPECT_EQ(error.at("param"), "messages[0].role");
  EXPECT_EQ(error.at("message"), "messages[0].role: expected a string");
}

TEST(WireError, AnUnknownModelHasOpenAIsWord) {
  EXPECT_EQ(error_of(openai_error({Code::not_found, "no such model", "model"}).body).at("code"), "model_not_found");
}

// Clients search the message for the wording that says "compact and try again".
TEST(WireError, TheWordingOfTooLongIsNotTouched) {
  const char* wording = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.";
  EXPECT_EQ(error_of(openai_error({Code::too_long, wording, "messages"}).body).at("message"), wording);
}

TEST(WireError, AFrameIsTheSameObjectOnOneLineForAnyBytes) {
  const Error error{Code::failed, "broken\r\n\xFF", "a\nb"};
  const std::string frame = openai_error_frame(error);
  EXPECT_EQ(frame, openai_error(error).body);
  EXPECT_EQ(frame.find_first_of("\r\n"), std::string::npos);
  EXPECT_EQ(error_of(frame).at("message"), "broken\r\n\xEF\xBF\xBD");
}

}  // namespace
}  // namespace kvern::api
