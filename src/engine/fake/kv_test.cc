#include "engine/fake/kv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/fake/test_session.h"

namespace kvern::engine {
namespace {

using testing::HasSubstr;

constexpr const char* kAttention = R"j({"context": 64, "cells": 40, "rules": []})j";
constexpr const char* kWindow = R"j({"context": 64, "state": "sliding_window", "window": 4, "rules": []})j";
constexpr const char* kHybrid = R"j({"context": 64, "state": "hybrid", "rules": []})j";
constexpr const char* kRecurrent = R"j({"context": 64, "state": "recurrent", "rules": []})j";

// The decode that uses what was reused wrongly fails, counts, and says where.
void expect_mismatch(Session& session, SequenceId sequence, const std::string& words) {
  const std::uint64_t before = FakeEngine::mismatches();
  const auto held = session.engine().tokens(sequence);
  const auto decoded = session.feed(sequence, "x");
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Code::corrupt);
  EXPECT_THAT(decoded.error().message, HasSubstr(words));
  EXPECT_EQ(FakeEngine::mismatches(), before + 1);
  EXPECT_EQ(session.engine().tokens(sequence), held) << "nothing changed";
}

void expect_code(const Status& status, Code code) {
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, code) << status.error().message;
}

TEST(Kv, AForkSharesCellsUntilTheLastOwnerGoes) {
  Session session(kAttention);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "abcdef"), Decoded::ok);
  ASSERT_TRUE(engine.fork(0, 1, 4));
  EXPECT_EQ(engine.cells_in_use(), 6);
  ASSERT_EQ(session.feed(1, "XY"), Decoded::ok);
  EXPECT_EQ(engine.cells_in_use(), 8);
  engine.drop(0);
  EXPECT_EQ(engine.cells_in_use(), 6);
  EXPECT_EQ(engine.tokens(1), session.tokens("abcdXY"));
  EXPECT_TRUE(engine.truncate(1, 2));
  EXPECT_EQ(engine.cells_in_use(), 2);
  engine.drop(1);
  EXPECT_EQ(engine.cells_in_use(), 0);
}

TEST(Kv, AForkNeedsAnEmptyTargetAndARangeThatExists) {
  Session session(kAttention);
  ASSERT_EQ(session.feed(0, "abc"), Decoded::ok);
  ASSERT_EQ(session.feed(1, "x"), Decoded::ok);
  expect_code(session.engine().fork(0, 1, 1), Code::failed);
  expect_code(session.engine().fork(0, 0, 1), Code::failed);
  expect_code(session.engine().fork(0, 2, 4), Code::failed);
  expect_code(session.engine().fork(0, 2, -1), Code::failed);
  EXPECT_TRUE(session.engine().fork(0, 2, 3));
}

TEST(Kv, RowsSavedInBlocksAreRestoredOnAnotherEngine) {
  Session writer(kAttention);
  ASSERT_EQ(writer.feed(0, "abcdefgh"), Decoded::ok);
  const auto first = writer.engine().save(0, 0, 3);
  const auto second = writer.engine().save(0, 3, 8);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->size(), first->size() + 2 * writer.engine().info().bytes_per_token);
  Session reader(kAttention);
  ASSERT_TRUE(reader.engine().load(2, 0, 3, *first));
  ASSERT_TRUE(reader.engine().load(2, 3, 8, *second));
  EXPECT_EQ(reader.feed(2, "i"), Decoded::ok);
  EXPECT_EQ(reader.engine().tokens(2), reader.tokens("abcdefghi"));
}

// The point of the engine: the bytes are well-formed and the place is right, the prefix is not.
TEST(Kv, RowsOfAnotherPrefixAreFoundAtTheNextDecode) {
  Session session(kAttention);
  ASSERT_EQ(session.feed(0, "abcdef"), Decoded::ok);
  ASSERT_EQ(session.feed(1, "Abc"), Decoded::ok);
  const auto rows = session.engine().save(0, 3, 6);
  ASSERT_TRUE(rows);
  ASSERT_TRUE(session.engine().load(1, 3, 6, *rows));
  expect_mismatch(session, 1, "sequence 1: the cell of position 3 holds token 100 computed for another prefix");
  ASSERT_TRUE(session.engine().fork(1, 2, 6));
  expect_mismatch(session, 2, "sequence 2: the cell of position 3");
  ASSERT_TRUE(session.engine().truncate(1, 3));
  EXPECT_EQ(session.feed(1, "x"), Decoded::ok) << "what came before is sound";
}

TEST(Kv, AChangedTokenInSavedRowsIsFoundAtTheNextDecode) {
  Session session(kAttention);
  ASSERT_EQ(session.feed(0, "abc"), Decoded::ok);
  auto rows = session.engine().save(0, 0, 3);
  ASSERT_TRUE(rows);
  (*rows)[16] ^= std::byte{1};
  ASSERT_TRUE(session.engine().load(1, 0, 3, *rows));
  expect_mismatch(session, 1, "position 0");
}

TEST(Kv, BytesThatDoNotFitAreRefusedAndChangeNothing) {
  Session session(kAttention);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "abcdef"), Decoded::ok);
  ASSERT_EQ(session.feed(1, "ab"), Decoded::ok);
  const auto rows = engine.save(0, 2, 4);
  ASSERT_TRUE(rows);
  for (std::size_t size = 0; size < rows->size(); ++size)
    expect_code(engine.load(1, 2, 4, std::span(*rows).first(size)), Code::corrupt);
  for (const std::size_t damaged : {0U, 4U, 8U, 19U, 20U}) {
    Bytes bytes = *rows;
    bytes[damaged] ^= std::byte{0x40};
    expect_code(engine.load(1, 2, 4, bytes), Code::corrupt);
  }
  expect_code(engine.load(1, 2, 5, *rows), Code::corrupt);
  const auto later = engine.save(0, 4, 6);
  ASSERT_TRUE(later);
  expect_code(engine.load(1, 2, 4, *later), Code::corrupt);
  expect_code(engine.load(1, 4, 6, *later), Code::failed);
  EXPECT_EQ(engine.tokens(1), session.tokens("ab"));
  EXPECT_EQ(session.feed(1, "c"), Decoded::ok);
}

TEST(Kv, TheBeginOfSavedRowsCanBeLoadedAlone) {
  Session session(kAttention);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "abcdefgh"), Decoded::ok);
  const auto rows = engine.save(0, 2, 8);
  ASSERT_TRUE(rows);
  ASSERT_EQ(session.feed(1, "ab"), Decoded::ok);
  ASSERT_TRUE(engine.load(1, 2, 5, *rows));
  EXPECT_EQ(engine.tokens(1), session.tokens("abcde"));
  EXPECT_EQ(session.feed(1, "X"), Decoded::ok);
  expect_code(engine.load(1, 6, 8, *rows), Code::corrupt);
  EXPECT_EQ(engine.tokens(1), session.tokens("abcdeX"));
}

TEST(Kv, LoadingWithoutFreeCellsIsBusy) {
  Session session(R"j({"context": 8, "cells": 10, "rules": []})j");
  ASSERT_EQ(session.feed(0, "12345678"), Decoded::ok);
  const auto rows = session.engine().save(0, 0, 8);
  ASSERT_TRUE(rows);
  expect_code(session.engine().load(1, 0, 8, *rows), Code::busy);
  EXPECT_EQ(session.engine().cells_in_use(), 8);
}

TEST(Kv, AttentionHasNoStateBesideItsRows) {
  Session session(kAttention);
  ASSERT_EQ(session.feed(0, "ab"), Decoded::ok);
  const auto state = session.engine().save_state(0);
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->empty());
  EXPECT_TRUE(session.engine().load_state(0, 2, *state));
  expect_code(session.engine().load_state(0, 2, Bytes(3)), Code::corrupt);
}

TEST(Kv, ARunningStateCannotGoBack) {
  for (const char* script : {kHybrid, kRecurrent}) {
    Session session(script);
    FakeEngine& engine = session.engine();
    EXPECT_EQ(engine.info().state, StateKind::recurrent);
    ASSERT_EQ(session.feed(0, "abcdef"), Decoded::ok);
    EXPECT_FALSE(engine.truncate(0, 3));
    EXPECT_EQ(engine.tokens(0).size(), 6U);
    EXPECT_TRUE(engine.truncate(0, 6));
    EXPECT_TRUE(engine.truncate(0, 0));
    EXPECT_EQ(session.feed(0, "new"), Decoded::ok);
  }
}

// Whatever the parent holds, a child's state is its own.
TEST(Kv, AForkHasNoStateUntilOneIsLoaded) {
  for (const char* script : {kHybrid, kWindow}) {
    Session session(script);
    FakeEngine& engine = session.engine();
    ASSERT_EQ(session.feed(0, "abc"), Decoded::ok);
    const auto at_three = engine.save_state(0);
    ASSERT_EQ(session.feed(0, "defghi"), Decoded::ok);
    const auto at_nine = engine.save_state(0);
    ASSERT_TRUE(at_three && at_nine);
    for (const Position end : {3, 9}) {
      ASSERT_TRUE(engine.fork(0, 1, end));
      EXPECT_FALSE(engine.save_state(1));
      expect_mismatch(session, 1, "load_state() was missed");
      expect_code(engine.load_state(1, end, end == 3 ? *at_nine : *at_three), Code::corrupt);
      ASSERT_TRUE(engine.load_state(1, end, end == 3 ? *at_three : *at_nine));
      EXPECT_EQ(session.feed(1, "x"), Decoded::ok);
      engine.drop(1);
    }
    ASSERT_TRUE(engine.fork(0, 1, 0));
    EXPECT_EQ(session.feed(1, "x"), Decoded::ok) << "an empty sequence needs none";
  }
}

TEST(Kv, ARecurrentModelKeepsNoRowsAndTravelsAsAState) {
  Session session(kRecurrent);
  FakeEngine& engine = session.engine();
  EXPECT_FALSE(engine.info().has_rows);
  EXPECT_EQ(engine.info().bytes_per_token, 0U);
  ASSERT_EQ(session.feed(0, "abc"), Decoded::ok);
  const auto rows = engine.save(0, 0, 3);
  ASSERT_TRUE(rows);
  EXPECT_TRUE(rows->empty());
  ASSERT_TRUE(engine.load(1, 0, 3, *rows));
  ASSERT_TRUE(engine.fork(0, 1, 3));
  EXPECT_TRUE(engine.tokens(1).empty()) << "nothing moved";
  const auto state = engine.save_state(0);
  ASSERT_TRUE(state);
  expect_code(engine.load(1, 0, 3, *state), Code::corrupt);
  expect_code(engine.load_state(1, 2, *state), Code::corrupt);
  ASSERT_TRUE(engine.load_state(1, 3, *state));
  EXPECT_EQ(engine.tokens(1), session.tokens("abc"));
  EXPECT_EQ(session.feed(1, "d"), Decoded::ok);
  expect_code(engine.load_state(1, 3, *state), Code::failed);
  Bytes damaged = *state;
  damaged[16] ^= std::byte{1};
  ASSERT_TRUE(engine.load_state(2, 3, damaged));
  expect_mismatch(session, 2, "its state at 3 was computed for another prefix");
  for (std::size_t size = 0; size < state->size(); ++size)
    expect_code(engine.load_state(3, 3, std::span(*state).first(size)), Code::corrupt);
}

TEST(Kv, AHybridNeedsItsRowsAndThenItsState) {
  Session session(kHybrid);
  FakeEngine& engine = session.engine();
  EXPECT_TRUE(engine.info().has_rows);
  ASSERT_EQ(session.feed(0, "abc"), Decoded::ok);
  ASSERT_EQ(session.feed(1, "Abc"), Decoded::ok);
  const auto rows = engine.save(0, 0, 3);
  const auto state = engine.save_state(0);
  const auto other = engine.save_state(1);
  ASSERT_TRUE(rows && state && other);
  expect_code(engine.load_state(2, 3, *state), Code::failed);
  ASSERT_TRUE(engine.load(2, 0, 3, *rows));
  expect_mismatch(session, 2, "load_state() was missed");
  ASSERT_TRUE(engine.load_state(2, 3, *other));
  expect_mismatch(session, 2, "its state at 3 was computed for another prefix");
  ASSERT_TRUE(engine.load_state(2, 3, *state));
  EXPECT_EQ(session.feed(2, "d"), Decoded::ok);
}

// The state that was right before the rows is not right after them.
TEST(Kv, RowsLoadedBehindAStateNeedTheirOwn) {
  for (const char* script : {kHybrid, kWindow}) {
    Session session(script);
    FakeEngine& engine = session.engine();
    ASSERT_EQ(session.feed(0, "abcdef"), Decoded::ok);
    const auto rows = engine.save(0, 3, 6);
    const auto state = engine.save_state(0);
    ASSERT_EQ(session.feed(1, "abc"), Decoded::ok);
    ASSERT_TRUE(rows && state && engine.load(1, 3, 6, *rows));
    expect_mismatch(session, 1, "load_state() was missed");
    ASSERT_TRUE(engine.load_state(1, 6, *state));
    EXPECT_EQ(session.feed(1, "g"), Decoded::ok);
  }
}

TEST(Kv, AStateOfAShorterWindowIsFoundAtTheNextDecode) {
  Session session(kWindow);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "0123456"), Decoded::ok);
  auto state = engine.save_state(0);
  ASSERT_TRUE(state && engine.fork(0, 1, 7));
  (*state)[8] = std::byte{6};  // where the window begins
  ASSERT_TRUE(engine.load_state(1, 7, *state));
  expect_mismatch(session, 1, "the window at 7 lacks the cells of [3, 6)");
}

Position length_of(FakeEngine& engine) { return static_cast<Position>(engine.tokens(0).size()); }

TEST(Kv, InsideTheFirstWindowTruncationIsFree) {
  Session session(kWindow);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "0123"), Decoded::ok);
  EXPECT_TRUE(engine.truncate(0, 1));
  EXPECT_EQ(session.feed(0, "y"), Decoded::ok);
  ASSERT_EQ(session.feed(0, "234567"), Decoded::ok);
  ASSERT_EQ(session.feed(0, "8"), Decoded::ok);
  EXPECT_FALSE(engine.truncate(0, 7));
  EXPECT_EQ(engine.tokens(0).size(), 9U);
}

TEST(Kv, WhatADecodeAddedBehindItsFirstTokenAWindowCanForget) {
  Session session(kWindow);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "01234567"), Decoded::ok);
  for (const char* sure : {"8", "9", "a", "b"}) {
    ASSERT_EQ(session.feed(0, std::string(sure) + "wrong"), Decoded::ok);
    EXPECT_TRUE(engine.truncate(0, length_of(engine) - 5));
  }
  EXPECT_EQ(session.feed(0, "c"), Decoded::ok);
  EXPECT_FALSE(engine.truncate(0, length_of(engine) - 5));
}

TEST(Kv, RowsWithoutTheirWindowAreFoundAtTheNextDecode) {
  Session session(kWindow);
  FakeEngine& engine = session.engine();
  ASSERT_EQ(session.feed(0, "0123456"), Decoded::ok);
  const auto rows = engine.save(0, 0, 7);
  const auto state = engine.save_state(0);
  ASSERT_TRUE(rows && state && engine.load(1, 0, 7, *rows));
  expect_mismatch(session, 1, "load_state() was missed");
  ASSERT_TRUE(engine.load_state(1, 7, *state));
  EXPECT_EQ(session.feed(1, "7"), Decoded::ok);
}

}  // namespace
}  // namespace kvern::engine
