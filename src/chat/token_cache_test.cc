#include "chat/token_cache.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "chat/turns/test_merge_vocab.h"

namespace kvern::chat {
namespace {

using testing::MergeVocab;

constexpr std::string_view kPieces[] = {"<|im_start|>", "assistant\n", "the tool",    "<|im_end|>",
                                        "\n",           "abc",         "\xE2\x98\x82"};

std::string some_text(std::mt19937& random, std::size_t pieces) {
  std::string text;
  for (std::size_t i = 0; i < pieces; ++i) text += kPieces[random() % std::size(kPieces)];
  return text;
}

std::vector<TokenId> uncached(const Vocab& vocab, const std::string& text, SpecialTokens special) {
  std::vector<TokenId> tokens = {7};
  vocab.tokenize(text, special, tokens);
  return tokens;
}

std::vector<TokenId> cached(TokenCache& cache, const std::string& text, SpecialTokens special) {
  std::vector<TokenId> tokens = {7};
  cache.tokenize(text, special, tokens);
  return tokens;
}

TEST(TokenCache, ATextHasTheVocabularysTokensHoweverOftenItIsAskedFor) {
  const MergeVocab vocab;
  TokenCache cache(vocab);
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
      std::mt19937 random(seed);
      const std::string text = some_text(random, seed % 9);
      for (const SpecialTokens special : {SpecialTokens::as_text, SpecialTokens::as_tokens})
        ASSERT_EQ(cached(cache, text, special), uncached(vocab, text, special)) << text;
    }
  }
}

// What a file says must not become a control token because a template said it
// before.
TEST(TokenCache, TheSameWordsAsTextAndAsTokensAreTwoThings) {
  const MergeVocab vocab;
  TokenCache cache(vocab);
  const std::string end = "<|im_end|>";
  EXPECT_EQ(cached(cache, end, SpecialTokens::as_tokens).size(), 2U);
  EXPECT_GT(cached(cache, end, SpecialTokens::as_text).size(), 2U);
  EXPECT_EQ(cached(cache, end, SpecialTokens::as_tokens).size(), 2U);
}

// Counts what is tokenised.
class CountingVocab final : public Vocab {
 public:
  std::int32_t size() const override { return vocab_.size(); }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    ++count;
    vocab_.tokenize(text, special, out);
  }
  std::string_view piece(TokenId token) const override { return vocab_.piece(token); }
  bool is_control(TokenId token) const override { return vocab_.is_control(token); }
  bool ends_generation(TokenId token) const override { return vocab_.ends_generation(token); }
  TokenId find(std::string_view text) const override { return vocab_.find(text); }
  std::string_view bos_text() const override { return vocab_.bos_text(); }
  std::string_view eos_text() const override { return vocab_.eos_text(); }
  TokenId required_bos() const override { return vocab_.required_bos(); }

  mutable int count = 0;

 private:
  MergeVocab vocab_;
};

TEST(TokenCache, ItStaysWithinItsBytesAndForgetsWhatWasUsedLongestAgo) {
  const CountingVocab vocab;
  constexpr std::size_t kBytes = 20'000;
  TokenCache cache(vocab, kBytes);
  const std::string often(1'000, 'a');
  for (char c = 'b'; c <= 'z'; ++c) {
    cached(cache, often, SpecialTokens::as_text);
    cached(cache, std::string(1'000, c), SpecialTokens::as_text);
    EXPECT_LE(cache.bytes(), kBytes);
  }
  EXPECT_EQ(vocab.count, 26) << "the text that is used often was tokenised once";
  cached(cache, std::string(1'000, 'b'), SpecialTokens::as_text);
  EXPECT_EQ(vocab.count, 27) << "the one that was not is forgotten";
}

TEST(TokenCache, ATextLargerThanTheCacheIsTokenisedAndNotKept) {
  const MergeVocab vocab;
  TokenCache cache(vocab, 1'000);
  cached(cache, "abc", SpecialTokens::as_text);
  const std::size_t before = cache.bytes();
  const std::string large(5'000, 'a');
  EXPECT_EQ(cached(cache, large, SpecialTokens::as_text), uncached(vocab, large, SpecialTokens::as_text));
  EXPECT_EQ(cache.bytes(), before);
}

TEST(TokenCache, ThreadsThatAskForTheSameTextsAllGetTheirTokens) {
  const MergeVocab vocab;
  TokenCache cache(vocab, 5'000);  // something is forgotten all the time
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    threads.emplace_back([&, i] {
      for (std::uint32_t round = 0; round < 2'000; ++round) {
        std::mt19937 random(round % 37);
        const std::string text = some_text(random, 6);
        const auto special = round % 2 == 0 ? SpecialTokens::as_text : SpecialTokens::as_tokens;
        wrong[i] += cached(cache, text, special) == uncached(vocab, text, special) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace kvern::chat
