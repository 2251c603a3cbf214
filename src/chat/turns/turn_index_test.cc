#include "chat/turns/turn_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "chat/turns/token_hash.h"

namespace kvern::chat {
namespace {

Message message(Role role, std::string content, std::string call_id = {}) {
  Message result;
  result.role = role;
  result.content = std::move(content);
  result.tool_call_id = std::move(call_id);
  return result;
}

Message calling(std::vector<std::string> ids) {
  Message result = message(Role::assistant, "Looking.");
  for (std::string& id : ids) result.tool_calls.push_back({std::move(id), "f", R"({"a":  1})"});
  return result;
}

GeneratedTurn turn_of(Message said, TokenId token = 7) {
  GeneratedTurn turn;
  turn.prompt = {3, 10, {1, 2}};
  turn.tokens = {token, 8, 9};
  turn.text = said.content;
  turn.message = std::move(said);
  return turn;
}

const std::vector<Message> kAsked = {message(Role::system, "s"), message(Role::user, "Hi")};

std::vector<Message> with(std::vector<Message> messages, const std::vector<Message>& more) {
  messages.insert(messages.end(), more.begin(), more.end());
  return messages;
}

TEST(TurnIndex, ATurnWithCallsIsFoundByItsIdsWhateverCameBefore) {
  TurnIndex index{{}};
  index.remember(index.recall(kAsked, {}).key, turn_of(calling({"c1"})));
  Message sent = calling({"c1"});
  sent.tool_calls[0].arguments = R"({"a":1.0})";
  const std::vector<Message> other = {message(Role::user, "Something else"), sent};
  const Recalled recalled = index.recall(other, {});
  ASSERT_NE(recalled.turns[1], nullptr);
  EXPECT_EQ(recalled.turns[1]->tokens, (std::vector<TokenId>{7, 8, 9}));
  EXPECT_EQ(recalled.messages[1].tool_calls[0].arguments, R"({"a":  1})");
}

// What was compared before is not compared again; a tool's schema is part of the question.
TEST(TurnIndex, WhatMeantTheSameOnceDoesSoAsLongAsTheSchemaSaysSo) {
  TurnIndex index{{}};
  index.remember(index.recall(kAsked, {}).key, turn_of(calling({"c1"})));
  Message sent = calling({"c1"});
  sent.tool_calls[0].arguments = R"({"a":"1"})";
  const Tool text{"f", "", R"({"properties":{"a":{"type":"string"}}})"};
  const Tool number{"f", "", R"({"properties":{"a":{"type":"integer"}}})"};
  for (int round = 0; round < 2; ++round) {
    EXPECT_NE(index.recall(with(kAsked, {sent}), std::span(&text, 1)).turns[2], nullptr);
    EXPECT_EQ(index.recall(with(kAsked, {sent}), std::span(&number, 1)).turns[2], nullptr);
    EXPECT_EQ(index.recall(with(kAsked, {sent}), {}).turns[2], nullptr);
  }
}

TEST(TurnIndex, ATurnWithoutCallsIsFoundByTheConversationBeforeIt) {
  TurnIndex index{{}};
  Message said = message(Role::assistant, "Hello! ");
  said.reasoning = "A greeting.";
  index.remember(index.recall(kAsked, {}).key, turn_of(said));
  const Recalled recalled = index.recall(with(kAsked, {message(Role::assistant, "Hello!")}), {});
  ASSERT_NE(recalled.turns[2], nullptr);
  EXPECT_EQ(recalled.messages[2].content, "Hello! ");
  EXPECT_EQ(recalled.messages[2].reasoning, "A greeting.");
  const std::vector<Message> elsewhere = {message(Role::user, "Hi there"), message(Role::assistant, "Hello!")};
  EXPECT_EQ(index.recall(elsewhere, {}).turns[1], nullptr);
}

// The key is of what was said: spelling, reasoning and the system text do not change it.
TEST(TurnIndex, AConversationHasOneKeyHoweverItIsSpelled) {
  TurnIndex index{{}};
  Message said = calling({"c1"});
  index.remember(index.recall(kAsked, {}).key, turn_of(said));
  const ConversationKey key = index.recall(with(kAsked, {said, message(Role::tool, "r", "c1")}), {}).key;
  said.tool_calls[0].arguments = R"({ "a": 1 })";
  const std::vector<Message> respelled = {message(Role::system, "other"), message(Role::user, " Hi\n"), said,
                                          message(Role::tool, "r\n", "c1")};
  EXPECT_EQ(index.recall(respelled, {}).key, key);
  EXPECT_NE(index.recall(with(kAsked, {said, message(Role::tool, "R", "c1")}), {}).key, key);
  EXPECT_NE(index.recall(with(kAsked, {said}), {}).key, key);
}

TEST(TurnIndex, ResultsComeInTheOrderOfTheirCalls) {
  TurnIndex index{{}};
  const auto order = [&](const std::vector<std::string>& ids) {
    std::vector<Message> messages = with(kAsked, {calling({"a", "b", "c"})});
    for (const std::string& id : ids) messages.push_back(message(Role::tool, "of " + id, id));
    messages.push_back(message(Role::user, "next"));
    std::string out;
    for (const Message& one : index.recall(messages, {}).messages) out += one.tool_call_id;
    return out;
  };
  EXPECT_EQ(order({"c", "a", "b"}), "abc");
  EXPECT_EQ(order({"c", "b"}), "bc");
  EXPECT_EQ(order({"c", "c", "a"}), "cca");
  EXPECT_EQ(order({"c", "x", "a"}), "cxa");
}

// The same answer after two heads, say with other tools: both lives can be gone on with.
TEST(TurnIndex, TurnsThatReadAlikeAreAllOffered) {
  TurnIndex index{{.alike = 3}};
  const ConversationKey key = index.recall(kAsked, {}).key;
  for (TokenId token = 0; token < 5; ++token) index.remember(key, turn_of(message(Role::assistant, "Hello!"), token));
  const Recalled recalled = index.recall(with(kAsked, {message(Role::assistant, "Hello!")}), {});
  ASSERT_NE(recalled.turns[2], nullptr);
  EXPECT_EQ(recalled.turns[2]->tokens[0], 4);
  ASSERT_EQ(recalled.others[2].size(), 2U);
  EXPECT_EQ(recalled.others[2][0]->tokens[0], 3);
  EXPECT_EQ(index.size(), 3U);
}

TEST(TurnIndex, TheOldestUsedGoFirst) {
  TurnIndex index{{.turns = 2}};
  std::vector<Sha256> forgotten;
  index.on_forget = [&](const Sha256& id) { forgotten.push_back(id); };
  const auto known = [&](const std::string& id) {
    return index.recall(with(kAsked, {calling({id})}), {}).turns[2] != nullptr;
  };
  index.remember({}, turn_of(calling({"a"})));
  index.remember({}, turn_of(calling({"b"})));
  EXPECT_TRUE(known("a"));
  index.remember({}, turn_of(calling({"c"})));
  EXPECT_EQ(forgotten.size(), 1U);
  EXPECT_TRUE(known("a"));
  EXPECT_FALSE(known("b"));
  EXPECT_TRUE(known("c"));
}

TEST(TurnIndex, BytesAreBounded) {
  TurnIndex index{{.bytes = 20'000}};
  for (int i = 0; i < 100; ++i) {
    Message said = calling({std::to_string(i)});
    said.content = std::string(static_cast<std::size_t>(i) * 20, 'x');
    index.remember({}, turn_of(said));
    EXPECT_LE(index.bytes(), 20'000U);
  }
  EXPECT_GT(index.size(), 2U);
  const std::size_t before = index.size();
  Message huge = calling({"huge"});
  huge.content = std::string(30'000, 'x');
  index.remember({}, turn_of(huge));
  EXPECT_EQ(index.size(), before);
}

TEST(TurnIndex, WhatWasGivenOutComesBack) {
  TurnIndex index{{}};
  std::map<Sha256, std::string> kept;
  index.on_remember = [&](const Sha256& id, std::string bytes) { kept[id] = std::move(bytes); };
  const ConversationKey key = index.recall(kAsked, {}).key;
  Message said = message(Role::assistant, "Hello!");
  said.reasoning = std::string("\0\xFF", 2);
  index.remember(key, turn_of(said));
  index.remember(key, turn_of(calling({"a", "b"})));
  ASSERT_EQ(kept.size(), 2U);
  TurnIndex next{{}};
  for (const auto& [id, bytes] : kept) {
    ASSERT_TRUE(next.restore(bytes));
    ASSERT_TRUE(next.restore(bytes)) << "twice is once";
  }
  EXPECT_EQ(next.size(), 2U);
  EXPECT_EQ(next.bytes(), index.bytes());
  const Recalled plain = next.recall(with(kAsked, {message(Role::assistant, "Hello!")}), {});
  ASSERT_NE(plain.turns[2], nullptr);
  EXPECT_EQ(plain.turns[2]->prompt, (PromptMark{3, 10, {1, 2}}));
  EXPECT_EQ(plain.messages[2].reasoning, said.reasoning);
  EXPECT_NE(next.recall(with(kAsked, {calling({"a", "b"})}), {}).turns[2], nullptr);
}

// Disks lie. A record is taken as it was written or not at all.
TEST(TurnIndex, AnyBytesAreRefusedOrAreATurn) {
  TurnIndex source{{}};
  std::string record;
  source.on_remember = [&](const Sha256&, std::string bytes) { record = std::move(bytes); };
  source.remember({5, 6}, turn_of(calling({"a", "b"})));
  ASSERT_FALSE(record.empty());
  TurnIndex index{{.turns = 8}};
  for (std::size_t length = 0; length < record.size(); ++length) {
    const Status refused = index.restore(std::string_view(record).substr(0, length));
    ASSERT_FALSE(refused) << length;
    EXPECT_EQ(refused.error().code, Code::corrupt);
  }
  EXPECT_FALSE(index.restore(record + "x"));
  std::mt19937 random(1);
  std::size_t taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = record;
    for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    taken += index.restore(bytes) ? 1 : 0;
  }
  EXPECT_GT(taken, 0U);
  EXPECT_LE(index.size(), 8U);
}

TEST(TurnIndex, ThreadsMayShareIt) {
  TurnIndex index{{.turns = 50}};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&index, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string id = std::to_string(t) + "_" + std::to_string(i);
        index.remember({}, turn_of(calling({id})));
        index.recall(with(kAsked, {calling({id}), calling({"0_" + std::to_string(i)})}), {});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(index.size(), 50U);
}

TEST(TokenHash, IsOfTheListHoweverItGrew) {
  std::vector<TokenId> tokens;
  TokenHash growing;
  std::mt19937 random(2);
  for (int round = 0; round < 60; ++round) {
    for (std::size_t n = random() % 700; n > 0; --n) tokens.push_back(static_cast<TokenId>(random() % 1000));
    EXPECT_EQ(growing.of(tokens), TokenHash().of(tokens)) << tokens.size();
    const std::size_t kept = tokens.size() - random() % (tokens.size() / 3 + 1);
    tokens.resize(kept);
    growing.forget(kept);
    tokens.push_back(-1);
    EXPECT_EQ(growing.of(tokens), TokenHash().of(tokens)) << tokens.size();
  }
}

}  // namespace
}  // namespace kvern::chat
