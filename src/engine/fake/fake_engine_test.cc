#include "engine/fake/fake_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "engine/fake/test_session.h"

namespace kvern::engine {
namespace {

using testing::HasSubstr;

constexpr const char* kSmall =
    R"j({"context": 8, "cells": 10, "sequences": 3, "batch": 9, "rules": [{"say": "abc"}]})j";

void expect_failed(const Result<Decoded>& result, const std::string& words) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::failed);
  EXPECT_THAT(result.error().message, HasSubstr(words));
}

TEST(FakeEngine, PositionsMustContinueTheSequence) {
  Session session(kSmall);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "ab"), Decoded::ok);
  expect_failed(engine.decode(std::vector<BatchToken>{{'c', 0, 3, true}}), "continues at position 2, not at 3");
  expect_failed(engine.decode(std::vector<BatchToken>{{'c', 0, 1, true}}), "continues at position 2, not at 1");
  expect_failed(engine.decode(std::vector<BatchToken>{{'c', 0, 2, true}, {'d', 1, 0, true}, {'e', 0, 4, true}}),
                "at position 3, not at 4");
  EXPECT_EQ(engine.tokens(0), (std::vector<TokenId>{'a', 'b'})) << "nothing changed";
  EXPECT_TRUE(engine.tokens(1).empty());
}

TEST(FakeEngine, IdsTokensAndSizesAreChecked) {
  Session session(kSmall);
  FakeEngine& engine = session.engine();
  expect_failed(engine.decode(std::vector<BatchToken>{{'c', 3, 0, true}}), "no sequence 3");
  expect_failed(engine.decode(std::vector<BatchToken>{{'c', -1, 0, true}}), "no sequence -1");
  expect_failed(engine.decode(std::vector<BatchToken>{{259, 0, 0, true}}), "no token 259");
  expect_failed(engine.decode({}), "batch of 0");
  expect_failed(engine.decode(std::vector<BatchToken>(10)), "batch of 10");
  expect_failed(session.feed(0, "123456789"), "outside the context of 8");
  EXPECT_FALSE(engine.fork(0, 3, 0));
  EXPECT_FALSE(engine.save(-1, 0, 0));
  EXPECT_FALSE(engine.load(7, 0, 0, {}));
  EXPECT_FALSE(engine.save_state(3));
  EXPECT_FALSE(engine.load_state(3, 0, {}));
  EXPECT_DEATH(engine.drop(3), "sequence=3");
}

TEST(FakeEngine, WithoutRoomNothingChanges) {
  Session session(kSmall);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "12345678"), Decoded::ok);
  EXPECT_EQ(session.feed(1, "abc"), Decoded::no_room);
  EXPECT_TRUE(engine.tokens(1).empty());
  EXPECT_EQ(engine.cells_in_use(), 8);
  EXPECT_EQ(session.feed(1, "ab"), Decoded::ok);
  EXPECT_EQ(engine.cells_in_use(), 10);
}

TEST(FakeEngine, LogitsAreOfTheRowsThatWantedThem) {
  Session session(kSmall);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(engine.decode(
                std::vector<BatchToken>{{'x', 0, 0, false}, {'x', 0, 1, true}, {'y', 1, 0, false}, {'a', 0, 2, true}}),
            Decoded::ok);
  EXPECT_EQ(engine.logits(1)['a'], 20.0F);
  EXPECT_EQ(engine.logits(3)['b'], 20.0F) << "a row sees the rows before it";
  EXPECT_DEATH(engine.logits(0), "row=0");
  EXPECT_DEATH(engine.logits(4), "row=4");
}

// Two clients stream at once; neither sees the other's text.
TEST(FakeEngine, SequencesOfABatchSpeakForThemselves) {
  Session session(R"j({"rules": [{"when": "one", "say": "1"}, {"when": "two", "say": "2"}]})j");
  std::vector<BatchToken> batch;
  std::vector<std::size_t> last;
  for (const SequenceId sequence : {0, 1}) {
    Position position = 0;
    for (const TokenId token : session.tokens(user(sequence == 0 ? "one" : "two")))
      batch.push_back({token, sequence, position++, false});
    batch.back().wants_logits = true;
    last.push_back(batch.size() - 1);
  }
  ASSERT_EQ(session.engine().decode(batch), Decoded::ok);
  EXPECT_EQ(session.engine().logits(last[0])['1'], 20.0F);
  EXPECT_EQ(session.engine().logits(last[1])['2'], 20.0F);
}

TEST(FakeEngine, AbortEndsARunningDecode) {
  Session session(R"j({"prefill_tokens_per_second": 0.001, "rules": []})j");
  FakeEngine& engine = session.engine();
  std::thread stopper([&engine] { engine.abort(); });
  EXPECT_EQ(session.feed(0, "this would take hours"), Decoded::aborted);
  stopper.join();
  EXPECT_EQ(session.feed(1, "x"), Decoded::aborted) << "until it is cleared";
  EXPECT_DEATH(engine.logits(0), "row=0");
}

// Positions of an aborted batch are undefined; after truncating them all goes on.
TEST(FakeEngine, AfterAnAbortTruncationRestoresTheSequence) {
  Session session(R"j({"rules": [{"say": "ok"}]})j");
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "<|im_start|>user\nhi"), Decoded::ok);
  const auto held = engine.tokens(0);
  engine.abort();
  EXPECT_EQ(session.feed(0, "<|im_end|>\n<|im_start|>assistant\n"), Decoded::aborted);
  engine.clear_abort();
  ASSERT_TRUE(engine.truncate(0, static_cast<Position>(held.size())));
  EXPECT_EQ(engine.tokens(0), held);
  ASSERT_EQ(session.feed(0, "<|im_end|>\n<|im_start|>assistant\n"), Decoded::ok);
  EXPECT_EQ(session.generate(0), "ok");
}

// The rates bound from below how long a step takes, whatever the machine does.
TEST(FakeEngine, DecodeTakesAtLeastTheTimeOfItsRates) {
  Session session(R"j({"tokens_per_second": 200, "prefill_tokens_per_second": 1000, "rules": [{"say": "abc"}]})j");
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(session.feed(0, "0123456789"), Decoded::ok);
  EXPECT_EQ(session.generate(0), "abc");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(10 + 3 * 5));
}

}  // namespace
}  // namespace kvern::engine
