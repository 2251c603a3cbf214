#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/openai_chat.h"
#include "api/test_vocab.h"

namespace kvern::api {
namespace {

const ByteVocab kVocab;

constexpr const char* kHello = R"({"role":"user","content":"hello"})";
constexpr const char* kBye = R"({"role":"user","content":"bye"})";

Result<ChatBatch> batch(const std::string& messages, const std::string& more = "") {
  return parse_chat_batch("{\"messages\":" + messages + more + "}");
}

std::string list(std::initializer_list<std::string> items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? "," : "") + item;
  return out + "]";
}

TEST(ChatBatch, OneListOfMessagesIsOneConversation) {
  const auto read = batch(list({kHello, kBye}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->request.messages.size(), 2U);
  EXPECT_TRUE(read->others.empty());
}

TEST(ChatBatch, AListOfListsIsAConversationEach) {
  const auto read = batch(list({list({kHello}), list({kBye, kHello})}), R"(,"temperature":0.5,"n":3)");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->request.messages.at(0).content, "hello");
  ASSERT_EQ(read->others.size(), 1U);
  EXPECT_EQ(read->others[0].at(0).content, "bye");
  EXPECT_EQ(read->request.choices, 3);
  const auto one = batch(list({list({kHello})}));
  ASSERT_TRUE(one);
  EXPECT_TRUE(one->others.empty());
}

TEST(ChatBatch, WhatIsNoConversationIsNamed) {
  EXPECT_EQ(batch("[]").error().field, "messages");
  EXPECT_EQ(batch("[[]]").error().field, "messages[0]");
  EXPECT_EQ(batch(list({list({kHello}), kBye})).error().field, "messages[1]");
  EXPECT_EQ(batch(list({kHello, list({kBye})})).error().field, "messages[1]");
  EXPECT_EQ(batch(list({list({kHello}), "[{\"role\":7}]"})).error().field, "messages[1][0].role");
  EXPECT_EQ(parse_chat_request("{\"messages\":" + list({list({kHello}), list({kBye})}) + "}").error().field,
            "messages");
}

TEST(ChatBatch, ConversationsTimesChoicesHaveABound) {
  std::string many = "[";
  for (int i = 0; i < 33; ++i) many += (i > 0 ? "," : "") + list({kHello});
  EXPECT_TRUE(batch(many + "]"));
  EXPECT_EQ(batch(many + "]", ",\"n\":2").error().field, "n");
  for (int i = 0; i < 32; ++i) many += "," + list({kHello});
  EXPECT_EQ(batch(many + "]").error().code, Code::too_large);
}

TEST(ChatBatch, ProgressIsForStreams) {
  EXPECT_FALSE(batch(list({kHello}), R"(,"return_progress":true)")->progress);
  EXPECT_TRUE(batch(list({kHello}), R"(,"return_progress":true,"stream":true)")->progress);
  EXPECT_EQ(batch(list({kHello}), R"(,"return_progress":"yes")").error().field, "return_progress");
}

TEST(ChatStreamProgress, IsLlamaServersField) {
  ChatEncoder encoder({"chatcmpl-1", "m", 7}, 2, false, kVocab);
  std::vector<Frame> frames;
  encoder.progress(1, {100, 60, 80, 2'500}, frames);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].data,
            R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":1,)"
            R"("delta":{},"logprobs":null,"finish_reason":null}],)"
            R"("prompt_progress":{"total":100,"cache":60,"processed":80,"time_ms":2}})");
}

}  // namespace
}  // namespace kvern::api
