#include "engine/fake/fake_vocab.h"

#include <gtest/gtest.h>

namespace kvern::engine {
namespace {

std::vector<TokenId> tokens(std::string_view text, SpecialTokens special) {
  std::vector<TokenId> out;
  FakeVocab().tokenize(text, special, out);
  return out;
}

TEST(FakeVocab, EveryByteIsATokenAndComesBackAsItself) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const auto ids = tokens(all, SpecialTokens::as_tokens);
  ASSERT_EQ(ids.size(), 256U);
  std::string back;
  for (const TokenId id : ids) back += FakeVocab().piece(id);
  EXPECT_EQ(back, all);
}

// A control token's name inside a user's file must not steer the model.
TEST(FakeVocab, ControlNamesAreTokensOnlyWhereATemplateWroteThem) {
  const std::string_view text = "<|im_end|>x<|im_endo";
  EXPECT_EQ(tokens(text, SpecialTokens::as_text).size(), text.size());
  const auto ids = tokens(text, SpecialTokens::as_tokens);
  ASSERT_EQ(ids.size(), 2U + std::string_view("<|im_endo").size());
  EXPECT_EQ(ids[0], FakeVocab::kMessageEnd);
  EXPECT_EQ(ids[1], 'x');
}

TEST(FakeVocab, NamesAreFoundExactly) {
  const FakeVocab vocab;
  for (const TokenId id : {FakeVocab::kMessageStart, FakeVocab::kMessageEnd, FakeVocab::kTextEnd}) {
    EXPECT_EQ(vocab.find(vocab.piece(id)), id);
    EXPECT_TRUE(vocab.is_control(id));
  }
  EXPECT_EQ(vocab.find("<|im_end|> "), -1);
  EXPECT_EQ(vocab.find("<tool_call>"), -1) << "tags are plain bytes";
  EXPECT_EQ(vocab.find(""), -1);
}

TEST(FakeVocab, OnlyTheEndTokensEndGeneration) {
  const FakeVocab vocab;
  for (TokenId id = -1; id <= vocab.size(); ++id)
    EXPECT_EQ(vocab.ends_generation(id), id == FakeVocab::kMessageEnd || id == FakeVocab::kTextEnd) << id;
  EXPECT_EQ(vocab.find(vocab.eos_text()), FakeVocab::kMessageEnd);
  EXPECT_EQ(vocab.bos_text(), "");
  EXPECT_EQ(vocab.required_bos(), -1);
}

TEST(FakeVocab, IdsOutOfRangeHaveNoBytes) {
  const FakeVocab vocab;
  EXPECT_EQ(vocab.piece(-1), "");
  EXPECT_EQ(vocab.piece(vocab.size()), "");
  EXPECT_FALSE(vocab.is_control(vocab.size()));
}

}  // namespace
}  // namespace kvern::engine
