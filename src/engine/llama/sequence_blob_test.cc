// On made-up blobs in libllama's layout; state_test.cc runs the same on real ones.

#include "engine/llama/sequence_blob.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace kvern::engine {
namespace {

constexpr std::uint32_t kMagic = 0xaf14'3cd8;
constexpr std::int32_t kTokens = 1000;
constexpr Position kWindow = 4;

// A model of two layers with K rows of 4 and V rows of 2 bytes; the window's layers have others.
class Model {
 public:
  explicit Model(SequenceBlob::Parts parts, bool extended = false) : parts_(parts), extended_(extended) {}

  Bytes whole(const std::vector<Position>& rows, const std::vector<Position>& window, Position end) {
    begin();
    if (parts_.rows) kv(rows, 4, 2);
    state(window, end);
    return std::move(out_);
  }
  Bytes state_only(const std::vector<Position>& window, Position end) {
    begin();
    state(window, end);
    return std::move(out_);
  }
  SequenceBlob learned() {
    const Bytes empty = state_only({}, 0);
    const Bytes full = whole({0}, {0}, 1);
    const Bytes partial = state_only({0}, 1);
    auto blob = SequenceBlob::learn(parts_, {empty, full, partial});
    EXPECT_TRUE(blob) << blob.error().message;
    return std::move(*blob);
  }

 private:
  void put(std::uint32_t value) { put_bytes(&value, sizeof value); }
  void put_bytes(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }
  void begin() {
    out_.clear();
    put(kMagic);
    put(7);  // some sequence
  }
  void tensor(std::uint64_t row, const std::vector<Position>& positions) {
    put(1);
    put_bytes(&row, sizeof row);
    for (const Position position : positions) out_.insert(out_.end(), row, static_cast<std::byte>(position + 1));
  }
  void kv(const std::vector<Position>& positions, std::uint64_t key, std::uint64_t value) {
    put(1);
    put(static_cast<std::uint32_t>(positions.size()));
    if (positions.empty()) return;
    for (const Position position : positions) {
      put(static_cast<std::uint32_t>(position));
      put(1);
      for (int i = 0; extended_ && i < 3; ++i) put(5);
      put(7);
    }
    put(0);
    put(2);
    for (const std::uint64_t row : {key, key, value, value}) tensor(row, positions);
  }
  void state(const std::vector<Position>& window, Position end) {
    if (parts_.window) kv(window, 6, 3);
    if (!parts_.running) return;
    put(end > 0 ? 1 : 0);
    if (end > 0) {
      put(static_cast<std::uint32_t>(end - 1));
      put(0);
    }
    put(0);
    put(2);
    const std::vector<Position> cell(end > 0 ? 1 : 0, end);
    tensor(8, cell);
    tensor(0, cell);  // some models have rows of nothing
  }

  SequenceBlob::Parts parts_;
  bool extended_;
  Bytes out_;
};

std::vector<Position> range(Position begin, Position end) {
  std::vector<Position> out;
  for (Position i = begin; i < end; ++i) out.push_back(i);
  return out;
}

std::vector<Model> every_kind() {
  std::vector<Model> out;
  for (const bool extended : {false, true}) {
    out.emplace_back(SequenceBlob::Parts{true, false, false}, extended);
    out.emplace_back(SequenceBlob::Parts{true, true, false}, extended);
    out.emplace_back(SequenceBlob::Parts{true, false, true}, extended);
    out.emplace_back(SequenceBlob::Parts{true, true, true}, extended);
  }
  return out;
}

Code code_of(const Status& status) { return status ? Code::cancelled : status.error().code; }

TEST(SequenceBlob, RowsComeOutOfAnyKindAndGoBackWithoutAState) {
  for (Model& model : every_kind()) {
    const SequenceBlob blob = model.learned();
    const auto rows = blob.rows_of(model.whole(range(3, 9), range(5, 9), 9), 3, 9);
    ASSERT_TRUE(rows) << rows.error().message;
    EXPECT_TRUE(blob.check_rows(*rows, 3, 9, kTokens));
    Bytes whole = blob.whole_of(*rows, 6);
    Bytes expected = model.whole(range(3, 9), {}, 0);
    ASSERT_EQ(whole.size(), expected.size());
    const auto again = blob.rows_of(std::move(expected), 3, 9);  // without the sequence's number
    ASSERT_TRUE(again);
    EXPECT_TRUE(std::equal(again->begin(), again->end(), whole.begin()));
  }
}

// The same positions in other cells are the same saved bytes.
TEST(SequenceBlob, RowsAreInOrderOfTheirPositions) {
  for (Model& model : every_kind()) {
    const SequenceBlob blob = model.learned();
    EXPECT_EQ(*blob.rows_of(model.whole({5, 3, 6, 4}, {6}, 7), 3, 7),
              *blob.rows_of(model.whole(range(3, 7), {6}, 7), 3, 7));
  }
}

TEST(SequenceBlob, TheBeginOfRowsIsWhatFewerRowsWouldBe) {
  for (Model& model : every_kind()) {
    const SequenceBlob blob = model.learned();
    const Bytes all = *blob.rows_of(model.whole(range(3, 9), {8}, 9), 3, 9);
    const Bytes some = *blob.rows_of(model.whole(range(3, 5), {8}, 9), 3, 5);
    EXPECT_TRUE(blob.check_rows(all, 3, 5, kTokens));
    EXPECT_EQ(blob.whole_of(all, 2), blob.whole_of(some, 2));
    EXPECT_EQ(code_of(blob.check_rows(some, 3, 6, kTokens)), Code::corrupt);
    EXPECT_EQ(some.size() + 4 * blob.row_bytes(), all.size());
  }
}

TEST(SequenceBlob, RowsThatAreNotThereAreNotSaved) {
  Model model({true, false, false});
  const SequenceBlob blob = model.learned();
  EXPECT_FALSE(blob.rows_of(model.whole({3, 4, 6}, {}, 0), 3, 6));
  EXPECT_FALSE(blob.rows_of(model.whole({3, 4}, {}, 0), 3, 6));
  EXPECT_FALSE(blob.rows_of(Bytes(5), 0, 1));
  EXPECT_TRUE(blob.rows_of(model.whole({}, {}, 0), 3, 3)->size() == 16);
}

TEST(SequenceBlob, AStateIsOfItsPositionOnly) {
  for (Model& model : every_kind()) {
    const SequenceBlob blob = model.learned();
    const Bytes state = model.state_only({8, 5, 6, 7}, 9);
    if (state.size() == 8) continue;  // attention alone
    EXPECT_TRUE(blob.check_state(state, 9, kWindow, kTokens));
    EXPECT_EQ(code_of(blob.check_state(state, 8, kWindow, kTokens)), Code::corrupt);
    EXPECT_EQ(code_of(blob.check_state(state, 10, kWindow, kTokens)), Code::corrupt);
    for (std::size_t size = 0; size < state.size(); ++size)
      EXPECT_EQ(code_of(blob.check_state(std::span(state).first(size), 9, kWindow, kTokens)), Code::corrupt) << size;
  }
}

TEST(SequenceBlob, AWindowMustReachBackAndHaveNoHoles) {
  Model model({true, true, false});
  const SequenceBlob blob = model.learned();
  const auto code = [&](const std::vector<Position>& window, Position end) {
    return code_of(blob.check_state(model.state_only(window, end), end, kWindow, kTokens));
  };
  EXPECT_EQ(code({5, 6, 7, 8}, 9), Code::cancelled) << "accepted";
  EXPECT_EQ(code({0, 1}, 2), Code::cancelled) << "near the begin there is no more";
  EXPECT_EQ(code({4, 5}, 6), Code::cancelled) << "models with chunks begin anew at each";
  EXPECT_EQ(code({9}, 10), Code::corrupt);
  EXPECT_EQ(code({7}, 8), Code::corrupt);
  EXPECT_EQ(code({4, 5, 6, 8}, 9), Code::corrupt);
  EXPECT_EQ(code({5, 6, 8, 8}, 9), Code::corrupt);
  EXPECT_EQ(code({}, 9), Code::corrupt);
}

TEST(SequenceBlob, BytesOfAnotherModelAreRefused) {
  Model plain({true, false, false});
  Model extended({true, false, false}, true);
  Model window({true, true, false});
  const Bytes rows = *plain.learned().rows_of(plain.whole(range(0, 4), {}, 4), 0, 4);
  EXPECT_EQ(code_of(extended.learned().check_rows(rows, 0, 4, kTokens)), Code::corrupt);
  EXPECT_EQ(code_of(plain.learned().check_rows(window.state_only(range(0, 4), 4), 0, 4, kTokens)), Code::corrupt);
  EXPECT_NE(plain.learned().describe(), extended.learned().describe());
  EXPECT_NE(plain.learned().describe(), window.learned().describe());
  const Bytes tokens = *extended.learned().rows_of(extended.whole({0}, {}, 1), 0, 1);
  EXPECT_TRUE(extended.learned().check_rows(tokens, 0, 1, 6));
  EXPECT_EQ(code_of(extended.learned().check_rows(tokens, 0, 1, 5)), Code::corrupt) << "token 5 does not exist";
}

// Whatever passes has the learned shape, so libllama reads every byte and no more.
TEST(SequenceBlob, NoChangeOfAHeaderPasses) {
  for (Model& model : every_kind()) {
    const SequenceBlob blob = model.learned();
    const Bytes rows = *blob.rows_of(model.whole(range(3, 7), {6}, 7), 3, 7);
    for (std::size_t at = 8; at < 16; ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        Bytes damaged = rows;
        damaged[at] ^= static_cast<std::byte>(1 << bit);
        EXPECT_EQ(code_of(blob.check_rows(damaged, 3, 7, kTokens)), Code::corrupt) << at;
      }
    }
    std::mt19937 random(1);
    for (int i = 0; i < 2000; ++i) {
      Bytes damaged = rows;
      for (int j = 0; j < 4; ++j) damaged[random() % damaged.size()] = static_cast<std::byte>(random());
      if (blob.check_rows(damaged, 3, 7, kTokens)) {
        EXPECT_EQ(blob.whole_of(damaged, 4).size(), blob.whole_of(rows, 4).size());
      }
      const Bytes noise(random() % 100, static_cast<std::byte>(random()));
      EXPECT_FALSE(blob.check_rows(noise, 3, 7, kTokens));
    }
  }
}

TEST(SequenceBlob, AMemoryOfAnotherFormIsNotLearned) {
  Model model({true, false, true});
  const Bytes empty = model.state_only({}, 0);
  const Bytes whole = model.whole({0}, {}, 1);
  const Bytes state = model.state_only({}, 1);
  EXPECT_TRUE(SequenceBlob::learn({true, false, true}, {empty, whole, state}));
  EXPECT_FALSE(SequenceBlob::learn({true, false, false}, {empty, whole, state}));
  EXPECT_FALSE(SequenceBlob::learn({true, true, true}, {empty, whole, state}));
  EXPECT_FALSE(SequenceBlob::learn({true, false, true}, {state, whole, state}));
  EXPECT_FALSE(SequenceBlob::learn({true, false, true}, {empty, whole, whole}));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(SequenceBlob::learn({true, false, true}, {empty, std::span(whole).first(size), state})) << size;
}

}  // namespace
}  // namespace kvern::engine
