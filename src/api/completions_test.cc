#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/openai_completions.h"
#include "api/test_json.h"
#include "api/test_vocab.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

namespace kvern::api {
namespace {

using testing::parsed;

const ByteVocab kVocab;

using Prompts = std::vector<CompletionRequest::Prompt>;

Prompts prompts_of(std::string_view prompt) {
  const auto request = parse_completion_request(fmt::format(R"({{"prompt":{}}})", prompt));
  EXPECT_TRUE(request) << prompt << ": " << (request ? "" : request.error().message);
  return request ? request->prompts : Prompts(1);
}

TEST(CompletionRequest, APromptIsTextTokensOrAListOfEither) {
  EXPECT_EQ(prompts_of(R"("once")").at(0).text, "once");

  const Prompts texts = prompts_of(R"(["one","two"])");
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[1].text, "two");

  const Prompts ids = prompts_of("[1,2,3]");
  ASSERT_EQ(ids.size(), 1U) << "a flat list of ids is one prompt";
  EXPECT_EQ(ids[0].tokens, (std::vector<TokenId>{1, 2, 3}));

  const Prompts lists = prompts_of(R"([[1,2],[3],"text"])");
  ASSERT_EQ(lists.size(), 3U);
  EXPECT_EQ(lists[0].tokens, (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(lists[1].tokens, std::vector<TokenId>{3});
  EXPECT_EQ(lists[2].text, "text");
}

TEST(CompletionRequest, SharesTheFieldsOfChat) {
  const auto request = parse_completion_request(R"({"prompt":"p","model":"m","temperature":0,"max_tokens":5,"n":2,
    "stop":"\n","stream":true,"stream_options":{"include_usage":true},"logprobs":3,"echo":true,"suffix":"",
    "json_schema":{"type":"integer"},"user":"u","best_of":2})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->sampling.temperature, 0.0F);
  EXPECT_EQ(request->sampling.top_logprobs, 3);
  EXPECT_EQ(request->tokens_max, 5);
  EXPECT_EQ(request->choices, 2);
  EXPECT_EQ(request->stops, std::vector<std::string>{"\n"});
  EXPECT_TRUE(request->stream);
  EXPECT_TRUE(request->stream_usage);
  EXPECT_TRUE(request->echo);
  EXPECT_EQ(request->format.schema, R"({"type":"integer"})");
  EXPECT_EQ(request->session, "u");
}

TEST(CompletionRequest, AWrongFieldIsNamed) {
  struct Refusal {
    std::string body;
    std::string field;
    std::string message;
    Code code = Code::invalid;
  };
  std::string many = "\"p\"";
  for (std::size_t i = 0; i < limits::kPrompts; ++i) many += ",\"p\"";
  for (const Refusal& refusal : std::initializer_list<Refusal>{
           {"[]", "", "must be a JSON object"},
           {"{}", "prompt", "expected a string, a list of strings"},
           {R"({"prompt":5})", "prompt", "found a number"},
           {R"({"prompt":""})", "prompt", "must not be empty"},
           {R"({"prompt":[]})", "prompt", "must not be empty"},
           {R"({"prompt":["a",""]})", "prompt[1]", "must not be empty"},
           {R"({"prompt":["a",5]})", "prompt[1]", "found a number"},
           {R"({"prompt":[1,"a"]})", "prompt[1]", "expected a whole number, found a string"},
           {R"({"prompt":[[1],[2,-3]]})", "prompt[1][1]", "found -3"},
           {R"({"prompt":[[1],[]]})", "prompt[1]", "must not be empty"},
           {R"({"prompt":[4294967296]})", "prompt[0]", "found 4294967296"},
           {R"({"prompt":[1.5]})", "prompt[0]", "found 1.5"},
           {R"({"prompt":"p","logprobs":true})", "logprobs", "expected a whole number, found a boolean"},
           {R"({"prompt":"p","suffix":"end"})", "suffix", "not supported"},
           {R"({"prompt":"p","top_p":2})", "top_p", "found 2"},
           {fmt::format(R"({{"prompt":[{}]}})", many), "prompt", "more than 64 prompts", Code::too_large}}) {
    const auto request = parse_completion_request(refusal.body);
    ASSERT_FALSE(request) << refusal.body;
    EXPECT_EQ(request.error().code, refusal.code) << refusal.body;
    EXPECT_EQ(request.error().field, refusal.field) << refusal.body;
    EXPECT_NE(request.error().message.find(refusal.message), std::string::npos) << request.error().message;
  }
}

ResponseHead head() { return {"cmpl-1", "m", 5}; }

std::vector<StepLogprobs> steps_of(std::string_view text) {
  std::vector<StepLogprobs> steps;
  for (const char c : text) steps.push_back({{static_cast<unsigned char>(c), -1.5F}, {{'z', -0.25F}}});
  return steps;
}

TEST(CompletionResponse, HasTheLegacyShapeOfLogprobs) {
  const std::vector<TextChoice> choices = {{"a\xC3\xA9",
                                            steps_of("a\xC3\xA9"
                                                     "b"),
                                            FinishReason::length},
                                           {"x", {}, FinishReason::tool_calls}};
  const Json response = parsed(encode_completion_response(head(), choices, {}, kVocab));
  EXPECT_EQ(response.at("object"), "text_completion");
  const Json& first = response.at("choices")[0];
  EXPECT_EQ(first.at("finish_reason"), "length");
  EXPECT_EQ(first.at("logprobs").at("tokens"), Json({"a", kReplacementCharacter, kReplacementCharacter, "b"}));
  EXPECT_EQ(first.at("logprobs").at("token_logprobs"), Json({-1.5, -1.5, -1.5, -1.5}));
  EXPECT_EQ(first.at("logprobs").at("text_offset"), Json({0, 1, 2, 2})) << "a character counts once";
  EXPECT_EQ(first.at("logprobs").at("top_logprobs")[0], parsed(R"({"z":-0.25,"a":-1.5})"));
  EXPECT_TRUE(response.at("choices")[1].at("logprobs").is_null());
  EXPECT_EQ(response.at("choices")[1].at("finish_reason"), "stop") << "this API has no tools";
  EXPECT_EQ(response.at("usage").at("prompt_tokens"), 0);
}

// Two byte tokens can both read as U+FFFD, and JSON keys must not repeat.
TEST(CompletionResponse, AlternativesThatReadAlikeShareOneKey) {
  const StepLogprobs step{{0xC3, -3.0F}, {{0xFF, -1.0F}, {0xFE, -2.0F}}};
  const Json response =
      parsed(encode_completion_response(head(), std::vector<TextChoice>{{"", {step}, FinishReason::stop}}, {}, kVocab));
  const Json& best = response.at("choices")[0].at("logprobs").at("top_logprobs")[0];
  ASSERT_EQ(best.size(), 1U);
  EXPECT_EQ(best.at(std::string(kReplacementCharacter)), -1);
}

TEST(CompletionStream, DeltasJoinToTheUnstreamedText) {
  CompletionStreamEncoder encoder(head(), true, kVocab);
  std::vector<Frame> frames;
  encoder.text(0, "ab", steps_of("ab"), frames);
  encoder.text(1, "\"q\"\n", {}, frames);
  encoder.text(0, "", {}, frames);
  encoder.text(0, "c", steps_of("c"), frames);
  encoder.ending(0, FinishReason::length, frames);
  encoder.ending(1, FinishReason::failed, frames);
  encoder.done({}, frames);
  ASSERT_EQ(frames.size(), 7U) << "nothing to say is not said";
  EXPECT_EQ(frames[6].data, "[DONE]");

  std::vector<std::string> texts(2);
  std::vector<std::string> reasons(2);
  Json offsets = Json::array();
  for (std::size_t i = 0; i < 5; ++i) {
    const Json chunk = parsed(frames[i].data);
    EXPECT_EQ(chunk.at("object"), "text_completion");
    EXPECT_FALSE(chunk.contains("usage"));
    const Json& choice = chunk.at("choices").at(0);
    const auto index = choice.at("index").get<std::size_t>();
    texts.at(index) += choice.at("text").get<std::string>();
    if (!choice.at("finish_reason").is_null()) reasons.at(index) = choice.at("finish_reason").get<std::string>();
    if (!choice.at("logprobs").is_null())
      for (const Json& offset : choice.at("logprobs").at("text_offset")) offsets.push_back(offset);
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"abc", "\"q\"\n"}));
  EXPECT_EQ(reasons, (std::vector<std::string>{"length", "stop"}));
  EXPECT_EQ(offsets, Json({0, 1, 2})) << "offsets go on from chunk to chunk";
  const Json last = parsed(frames[5].data);
  EXPECT_EQ(last.at("choices"), Json::array());
  EXPECT_TRUE(last.contains("usage"));
}

}  // namespace
}  // namespace kvern::api
