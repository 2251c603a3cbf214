#include "api/models.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/test_json.h"
#include "api/test_vocab.h"
#include "base/json.h"

namespace kvern::api {
namespace {

using testing::parsed;

const ByteVocab kVocab;

ModelCard card() {
  ModelCard model;
  model.id = "qwen \"3\"";
  model.created_s = 7;
  model.context = 32768;
  model.context_trained = 131072;
  model.vocabulary = 151936;
  model.parameters = 8'000'000'000;
  model.bytes = 5'000'000'000;
  return model;
}

// Agents read the context from one of three places, depending on the server they think this is.
TEST(Models, TheContextIsWhereEachKindOfClientLooksForIt) {
  const Json expected = parsed(R"({"id":"qwen \"3\"","type":"model","display_name":"qwen \"3\"",
    "object":"model","created":7,"created_at":"1970-01-01T00:00:07Z","owned_by":"kvern",
    "max_model_len":32768,"context_length":32768,"context_window":32768,"max_input_tokens":32768,"max_tokens":32768,
    "meta":{"n_ctx":32768,"n_ctx_train":131072,"n_vocab":151936,"n_params":8000000000,"size":5000000000}})");
  EXPECT_EQ(parsed(encode_model(card())), expected);
  const Json list = parsed(encode_model_list(std::vector{card(), card()}));
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("data"), Json({expected, expected}));
  EXPECT_EQ(list.at("has_more"), false);
  EXPECT_EQ(list.at("first_id"), "qwen \"3\"");
  EXPECT_EQ(list.at("last_id"), "qwen \"3\"");
  const Json none = parsed(encode_model_list({}));
  EXPECT_EQ(none.at("data"), Json::array());
  EXPECT_TRUE(none.at("first_id").is_null());
}

// Anthropic's clients read pages.
TEST(Models, TheListIsAPageThatIsTheLast) {
  const Json list = parsed(encode_model_list(std::vector{card()}));
  EXPECT_EQ(list.at("has_more"), false);
  EXPECT_EQ(list.at("first_id"), "qwen \"3\"");
  EXPECT_EQ(list.at("last_id"), "qwen \"3\"");
  EXPECT_EQ(parsed(encode_model_list({})).at("first_id"), Json());
}

TEST(Tokenize, RequestsAreReadWithLlamaServersDefaults) {
  const auto plain = parse_tokenize_request(R"({"content":"x"})");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->content, "x");
  EXPECT_FALSE(plain->add_special);
  EXPECT_TRUE(plain->parse_special);
  EXPECT_FALSE(plain->with_pieces);
  EXPECT_TRUE(parse_tokenize_request(R"({"content":"","add_special":true})")->add_special);
  EXPECT_EQ(parse_tokenize_request("{}").error().field, "content");
  EXPECT_EQ(parse_tokenize_request(R"({"content":"x","with_pieces":1})").error().field, "with_pieces");
}

TEST(Tokenize, APieceOfACharacterIsGivenAsItsBytes) {
  const std::vector<TokenId> tokens = {'"', 0xC3, ByteVocab::kEnd};
  EXPECT_EQ(encode_tokens(tokens, false, kVocab), R"({"tokens":[34,195,256]})");
  EXPECT_EQ(parsed(encode_tokens(tokens, true, kVocab)),
            parsed(R"({"tokens":[{"id":34,"piece":"\""},{"id":195,"piece":[195]},{"id":256,"piece":"<|end|>"}]})"));
}

TEST(Detokenize, TokensJoinBeforeTheyBecomeText) {
  const auto tokens = parse_detokenize_request(R"({"tokens":[195,169,65]})", kVocab);
  ASSERT_TRUE(tokens);
  EXPECT_EQ(encode_detokenized(*tokens, kVocab),
            "{\"content\":\"\xC3\xA9"
            "A\"}");
  EXPECT_EQ(parsed(encode_detokenized(std::vector<TokenId>{195}, kVocab)).at("content"), "\xEF\xBF\xBD");
}

TEST(Detokenize, AnIdOutsideTheVocabularyIsNamed) {
  const auto tokens = parse_detokenize_request(R"({"tokens":[0,257]})", kVocab);
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().field, "tokens[1]");
  EXPECT_EQ(tokens.error().message, "expected a whole number from 0 to 256, found 257");
  EXPECT_EQ(parse_detokenize_request(R"({"tokens":["a"]})", kVocab).error().field, "tokens[0]");
  EXPECT_EQ(parse_detokenize_request("{}", kVocab).error().field, "tokens");
}

TEST(Health, SaysWhetherAndHowBusy) {
  Health health;
  EXPECT_EQ(parsed(encode_health(health)), parsed(R"({"status":"loading","model":"","running":0,"waiting":0})"));
  health = {true, "m", 2, 1};
  EXPECT_EQ(parsed(encode_health(health)), parsed(R"({"status":"ok","model":"m","running":2,"waiting":1})"));
}

TEST(Prompt, TextOfAnyBytesIsAJsonString) {
  EXPECT_EQ(parsed(encode_prompt("a\n\xFF")).at("prompt"), "a\n\xEF\xBF\xBD");
}

}  // namespace
}  // namespace kvern::api
