#include "app/reasoning_limit.h"

#include <gtest/gtest.h>

#include "chat/dialect/test_vocab.h"

namespace kvern::app {
namespace {

std::string text_of(const std::vector<TokenId>& tokens, const Vocab& vocab) {
  std::string text;
  for (const TokenId token : tokens) text += vocab.piece(token);
  return text;
}

chat::Dialect thinking() {
  chat::Dialect dialect;
  dialect.reasoning_begin = "<think>";
  dialect.reasoning_end = "</think>";
  return dialect;
}

Reasoning budget(std::int32_t tokens) {
  Reasoning reasoning;
  reasoning.tokens_max = tokens;
  return reasoning;
}

TEST(ReasoningLimit, IsNoneUnlessAskedForAndPossible) {
  const chat::testing::ByteVocab vocab;
  EXPECT_EQ(reasoning_limit(thinking(), true, {}, vocab).tokens_max, -1);
  EXPECT_EQ(reasoning_limit(chat::Dialect{}, false, budget(5), vocab).tokens_max, -1);
}

TEST(ReasoningLimit, ClosesTheBlockAsTheFamilyDoes) {
  const chat::testing::ByteVocab vocab({"</think>"});
  const ReasoningLimit limit = reasoning_limit(thinking(), true, budget(5), vocab);
  EXPECT_EQ(limit.tokens_max, 5);
  EXPECT_TRUE(limit.open);
  EXPECT_EQ(limit.begin, "<think>");
  EXPECT_EQ(limit.end, "</think>");
  EXPECT_EQ(text_of(limit.close, vocab), "\n</think>\n\n");
  EXPECT_EQ(limit.close.size(), 4U) << "the marker is one token";

  chat::Dialect closing = thinking();
  closing.reasoning_close = "...</think>";
  EXPECT_EQ(text_of(reasoning_limit(closing, false, budget(0), vocab).close, vocab), "...</think>");
}

}  // namespace
}  // namespace kvern::app
