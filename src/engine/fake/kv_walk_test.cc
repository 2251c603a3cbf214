// Ten thousand random operations beside a model that only knows strings.

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "engine/fake/test_session.h"

namespace kvern::engine {
namespace {

constexpr int kSequences = 4;
constexpr std::int32_t kCells = 110;
constexpr std::int32_t kContext = 64;

struct SavedRows {
  std::string prefix;  // the whole text up to the end of the rows
  Position begin = 0;
  Bytes bytes;
};

class Walk {
 public:
  explicit Walk(unsigned seed)
      : random_(seed),
        session_(R"j({"rules": []})j", {.context = kContext, .sequences = kSequences, .cells = kCells}) {}

  void step() {
    const SequenceId s = pick(kSequences);
    switch (pick(9)) {
      case 0: return fork(s, pick(kSequences));
      case 1: return truncate(s);
      case 2: return pick(4) == 0 ? drop(s) : decode(s);
      case 3: return save(s);
      case 4:
      case 5: return load(s);
      default: return decode(s);
    }
  }

  void check() {
    for (SequenceId s = 0; s < kSequences; ++s) ASSERT_EQ(engine().tokens(s), session_.tokens(texts_[index(s)]));
    ASSERT_LE(engine().cells_in_use(), kCells);
  }

  // Rows of one text after another text's beginning, as a cache with a wrong key would load them.
  void plant() {
    for (SequenceId s = 0; s < kSequences; ++s) drop(s);
    ASSERT_EQ(session_.feed(0, "xa" + letters(20)), Decoded::ok);
    ASSERT_EQ(session_.feed(1, "xb" + letters(8)), Decoded::ok);
    const auto rows = engine().save(0, 10, 22);
    ASSERT_TRUE(rows && engine().load(1, 10, 22, *rows));
    const auto decoded = session_.feed(1, "c");
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, Code::corrupt);
    for (SequenceId s = 0; s < kSequences; ++s) drop(s);
    EXPECT_EQ(engine().cells_in_use(), 0) << "no cell leaked";
  }

  int reused() const { return reused_; }
  int full() const { return full_; }

 private:
  static std::size_t index(SequenceId s) { return static_cast<std::size_t>(s); }
  FakeEngine& engine() { return session_.engine(); }
  int pick(int end) { return static_cast<int>(random_() % static_cast<unsigned>(end)); }
  Position length(SequenceId s) const { return static_cast<Position>(texts_[index(s)].size()); }

  std::string letters(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += static_cast<char>('a' + pick(2));
    return text;
  }

  void decode(SequenceId s) {
    const std::string text = letters(1 + pick(6));
    if (length(s) + static_cast<Position>(text.size()) > kContext) return drop(s);
    const auto decoded = session_.feed(s, text);
    ASSERT_TRUE(decoded) << decoded.error().message;
    if (*decoded == Decoded::ok) texts_[index(s)] += text;
    if (*decoded == Decoded::no_room) ++full_;
  }

  void fork(SequenceId from, SequenceId to) {
    const Position end = pick(length(from) + 1);
    const bool possible = from != to && texts_[index(to)].empty();
    ASSERT_EQ(engine().fork(from, to, end).has_value(), possible);
    if (possible) texts_[index(to)] = texts_[index(from)].substr(0, index(end));
  }

  void truncate(SequenceId s) {
    const Position end = std::max(0, length(s) - pick(12));
    ASSERT_TRUE(engine().truncate(s, end));
    texts_[index(s)].resize(index(end));
  }

  void drop(SequenceId s) {
    engine().drop(s);
    texts_[index(s)].clear();
  }

  void save(SequenceId s) {
    const Position begin = pick(length(s) + 1);
    const Position end = begin + pick(length(s) - begin + 1);
    auto bytes = engine().save(s, begin, end);
    ASSERT_TRUE(bytes) << bytes.error().message;
    SavedRows rows{texts_[index(s)].substr(0, index(end)), begin, std::move(*bytes)};
    if (saved_.size() < 200)
      saved_.push_back(std::move(rows));
    else
      saved_[static_cast<std::size_t>(pick(200))] = std::move(rows);
  }

  // The newest rows that continue exactly this text, what a correct cache would find.
  void load(SequenceId s) {
    const std::string& text = texts_[index(s)];
    for (auto rows = saved_.rbegin(); rows != saved_.rend(); ++rows) {
      if (rows->begin != length(s) || !rows->prefix.starts_with(text)) continue;
      const auto end = static_cast<Position>(rows->prefix.size());
      const Status loaded = engine().load(s, rows->begin, end, rows->bytes);
      if (!loaded) {
        ASSERT_EQ(loaded.error().code, Code::busy) << loaded.error().message;
        return;
      }
      if (end > rows->begin) ++reused_;
      texts_[index(s)] = rows->prefix;
      return;
    }
  }

  std::mt19937 random_;
  Session session_;
  std::array<std::string, kSequences> texts_;
  std::vector<SavedRows> saved_;
  int reused_ = 0;
  int full_ = 0;
};

TEST(KvWalk, CorrectReuseIsNeverSuspectedAndWrongReuseAlwaysFound) {
  const std::uint64_t before = FakeEngine::mismatches();
  std::uint64_t planted = 0;
  int reused = 0;
  int full = 0;
  for (unsigned seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Walk walk(seed);
    for (int i = 0; i < 2000; ++i) {
      walk.step();
      walk.check();
      if (testing::Test::HasFatalFailure()) return;
    }
    EXPECT_EQ(FakeEngine::mismatches(), before + planted);
    walk.plant();
    EXPECT_EQ(FakeEngine::mismatches(), before + ++planted);
    reused += walk.reused();
    full += walk.full();
  }
  EXPECT_GT(reused, 100) << "the walk is about reuse";
  EXPECT_GT(full, 10) << "and about a full pool";
}

}  // namespace
}  // namespace kvern::engine
