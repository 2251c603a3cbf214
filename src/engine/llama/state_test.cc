// The engine's promises about rows and state, on real models and on random ones of each kind of state.
//
// A model that is not there is skipped, with the place it was looked for. KVERN_MODELS names the folder
// of the real models, KVERN_FIXTURES that of the random ones (target model_fixtures).
//
// Logits are compared bit by bit: restored in ascending order into an otherwise empty engine, rows lie
// as they did when they were computed. Each comparison has a control: the wrong variant differs or is
// refused, or the test would prove nothing.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <random>

#include "engine/llama/llama_engine.h"

namespace kvern::engine {
namespace {

namespace fs = std::filesystem;
using Logits = std::vector<std::vector<float>>;

constexpr Position kPrefix = 1024;
constexpr Position kBlock = 256;
constexpr Position kSteps = 8;

fs::path folder(const char* variable, const fs::path& fallback) {
  const char* named = std::getenv(variable);
  return named != nullptr ? fs::path(named) : fallback;
}

fs::path real_models() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  return folder("KVERN_MODELS", cache != nullptr ? fs::path(cache) / "kvern/models"
                                                 : fs::path(home != nullptr ? home : "") / ".cache/kvern/models");
}

struct Case {
  const char* name;
  const char* file;
  bool random;
  StateKind state;
  bool rows;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

fs::path path_of(const Case& c) { return (c.random ? folder("KVERN_FIXTURES", "fixtures") : real_models()) / c.file; }

// What an uninterrupted run saves at block boundaries and at the prefix's end, and computes after it.
struct Saved {
  std::vector<Bytes> blocks;
  Bytes state;
  Bytes earlier;  // the state one block before
  Logits next;
};

class State : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const fs::path path = path_of(GetParam());
    if (!fs::exists(path)) GTEST_SKIP() << "NOT TESTED: there is no " << path;
    Loaded& loaded = models()[GetParam().name];
    if (!loaded.engine) loaded.engine = make(4);
    ASSERT_TRUE(loaded.engine);
    engine_ = loaded.engine.get();
    std::mt19937 random(1);
    const std::int32_t ids = engine().vocab().size();
    ASSERT_GE(ids, 100);
    for (Position i = 0; i < 8 * kPrefix; ++i)
      tokens_.push_back(10 + static_cast<TokenId>(random() % static_cast<unsigned>(ids - 20)));
    if (loaded.saved.next.empty()) loaded.saved = run();
    saved_ = &loaded.saved;
    ASSERT_FALSE(saved_->next.empty());
    empty();
  }

  static void TearDownTestSuite() { models().clear(); }

  static std::unique_ptr<Engine> make(std::int32_t sequences, std::int32_t threads = 1) {
    LlamaOptions options;
    options.model_path = path_of(GetParam()).string();
    options.context = 8192;
    options.sequences = sequences;
    options.threads = threads;
    auto made = make_llama_engine(options);
    if (made) return std::move(*made);
    ADD_FAILURE() << made.error().message;
    return nullptr;
  }

  Engine& engine() { return *engine_; }
  void use(Engine& other) { engine_ = &other; }
  const Saved& saved() const { return *saved_; }
  bool has_state() const { return GetParam().state != StateKind::attention; }
  bool has_rows() const { return GetParam().rows; }

  Result<Decoded> feed(SequenceId sequence, Position begin, Position end) {
    Result<Decoded> decoded = Decoded::ok;
    for (Position at = begin; at < end && decoded && *decoded == Decoded::ok; at += kBlock) {
      std::vector<BatchToken> batch;
      for (Position i = at; i < std::min(end, at + kBlock); ++i)
        batch.push_back({tokens_[static_cast<std::size_t>(i)], sequence, i, i + 1 == end});
      decoded = engine().decode(batch);
      last_ = batch.size() - 1;
    }
    return decoded;
  }

  // Logits of the tokens that follow `begin`; empty when one of them could not be decoded.
  Logits steps(SequenceId sequence, Position begin) {
    Logits out;
    for (Position i = begin; i < begin + kSteps; ++i) {
      const auto decoded = feed(sequence, i, i + 1);
      if (!decoded || *decoded != Decoded::ok) return {};
      const auto row = engine().logits(last_);
      out.emplace_back(row.begin(), row.end());
    }
    return out;
  }

  void empty() {
    for (SequenceId s = 0; s < engine().info().sequences; ++s) engine().drop(s);
  }

  Status load_blocks(SequenceId sequence, Position end = kPrefix) {
    for (Position at = 0; has_rows() && at < end; at += kBlock)
      TRY_OK(engine().load(sequence, at, std::min(end, at + kBlock),
                           saved().blocks[static_cast<std::size_t>(at / kBlock)]));
    return {};
  }
  Status load_state(SequenceId sequence, const Bytes& state, Position end = kPrefix) {
    return has_state() ? engine().load_state(sequence, end, state) : Status{};
  }
  void restore(SequenceId sequence) {
    ASSERT_TRUE(load_blocks(sequence));
    ASSERT_TRUE(load_state(sequence, saved().state));
  }
  // The sequence as it was one block before the prefix's end.
  void restore_earlier(SequenceId sequence) {
    ASSERT_TRUE(load_blocks(sequence, kPrefix - kBlock));
    ASSERT_TRUE(load_state(sequence, saved().earlier, kPrefix - kBlock));
  }

  // But for the order of sums.
  static void expect_close(const Logits& steps, const Logits& expected) {
    ASSERT_EQ(steps.size(), expected.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      float range = 0;
      float difference = 0;
      for (std::size_t j = 0; j < expected[i].size(); ++j) {
        range = std::max(range, std::abs(expected[i][j]));
        difference = std::max(difference, std::abs(steps[i][j] - expected[i][j]));
      }
      EXPECT_LT(difference, range * (GetParam().random ? 1e-3F : 0.1F)) << "step " << i;
    }
  }

  std::vector<TokenId> tokens_;

 private:
  struct Loaded {
    std::unique_ptr<Engine> engine;
    Saved saved;
  };
  // Loading and computing take longer than all tests of a model.
  static std::map<std::string, Loaded>& models() {
    static std::map<std::string, Loaded> loaded;
    return loaded;
  }

  Saved run() {
    Saved out;
    for (Position at = 0; at < kPrefix; at += kBlock) {
      EXPECT_EQ(feed(0, at, at + kBlock), Decoded::ok);
      auto block = engine().save(0, at, at + kBlock);
      EXPECT_TRUE(block) << block.error().message;
      out.blocks.push_back(block.value_or(Bytes{}));
      if (has_state() && at + 2 * kBlock == kPrefix) out.earlier = engine().save_state(0).value_or(Bytes{});
    }
    if (has_state()) out.state = engine().save_state(0).value_or(Bytes{});
    EXPECT_EQ(out.state.empty(), !has_state());
    out.next = steps(0, kPrefix);
    return out;
  }

  Engine* engine_ = nullptr;
  const Saved* saved_ = nullptr;
  std::size_t last_ = 0;
};

void expect_code(const Status& status, Code code) {
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, code) << status.error().message;
}

TEST_P(State, TheModelSaysWhatItKeeps) {
  const Info& info = engine().info();
  EXPECT_EQ(info.state, GetParam().state);
  EXPECT_EQ(info.has_rows, GetParam().rows);
  EXPECT_EQ(info.bytes_per_token > 0, GetParam().rows);
  EXPECT_NE(
      std::find(info.fingerprint_parts.begin(), info.fingerprint_parts.end(), "architecture=" + info.architecture),
      info.fingerprint_parts.end());
}

TEST_P(State, WhatItTokenisesItGivesBack) {
  const std::string text = "The text {\"a\": 1}\n";
  std::vector<TokenId> tokens;
  engine().vocab().tokenize(text, SpecialTokens::as_text, tokens);
  std::string back;
  for (const TokenId token : tokens) back += engine().vocab().piece(token);
  EXPECT_EQ(back, text);
  EXPECT_EQ(engine().vocab().piece(engine().vocab().size()), "");
}

TEST_P(State, RestoredElsewhereItGoesOnAsIfNothingHadHappened) {
  restore(1);
  EXPECT_EQ(steps(1, kPrefix), saved().next);
}

TEST_P(State, AnotherEngineOfTheModelReadsTheSameBytes) {
  const auto other = make(7);
  ASSERT_TRUE(other);
  EXPECT_EQ(other->info().fingerprint_parts, engine().info().fingerprint_parts);
  use(*other);
  restore(6);
  EXPECT_EQ(steps(6, kPrefix), saved().next);
}

TEST_P(State, RowsAreTheSameBytesWhereverTheirCellsAre) {
  if (!has_rows()) return;
  ASSERT_EQ(feed(2, 0, 100), Decoded::ok);
  ASSERT_TRUE(load_blocks(1));
  engine().drop(2);
  ASSERT_TRUE(load_blocks(3));
  for (const SequenceId s : {1, 3}) {
    const auto again = engine().save(s, kBlock, 2 * kBlock);
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, saved().blocks[1]) << "sequence " << s;
  }
}

TEST_P(State, TheBeginOfABlockCanBeLoadedAlone) {
  constexpr Position kCut = kPrefix - 100;
  restore_earlier(0);
  ASSERT_EQ(feed(0, kPrefix - kBlock, kCut), Decoded::ok);
  const Bytes state = has_state() ? engine().save_state(0).value_or(Bytes{}) : Bytes{};
  const Logits expected = steps(0, kCut);
  empty();
  ASSERT_TRUE(load_blocks(1, kCut));
  ASSERT_TRUE(load_state(1, state, kCut));
  EXPECT_EQ(steps(1, kCut), expected);
}

TEST_P(State, SavingWhileGoingOnChangesNothing) {
  restore_earlier(0);
  for (Position at = kPrefix - kBlock; at < kPrefix; at += 64) {
    ASSERT_EQ(feed(0, at, at + 64), Decoded::ok);
    ASSERT_TRUE(engine().save(0, kBlock, at));
    ASSERT_EQ(engine().save_state(0).has_value(), has_state());
  }
  const Logits saving = steps(0, kPrefix);
  empty();
  restore_earlier(0);
  for (Position at = kPrefix - kBlock; at < kPrefix; at += 64) ASSERT_EQ(feed(0, at, at + 64), Decoded::ok);
  EXPECT_EQ(steps(0, kPrefix), saving);
}

TEST_P(State, AForkFarBehindTheParentIsRight) {
  restore(0);
  const Position ahead = GetParam().random || has_state() ? 2 * kPrefix : kPrefix + kBlock;
  ASSERT_EQ(feed(0, kPrefix, ahead), Decoded::ok);
  ASSERT_TRUE(engine().fork(0, 1, kPrefix));
  ASSERT_TRUE(load_state(1, saved().state));
  const Logits forked = steps(1, kPrefix);
  // The parent's later cells lie in the pool, which changes the order of sums but not what is summed.
  expect_close(forked, saved().next);
  EXPECT_FALSE(steps(0, ahead).empty()) << "the parent goes on";
}

// The control of all the above: without its state, or with another position's, nothing comes out.
TEST_P(State, WithoutItsStateASequenceIsNotDecoded) {
  if (!has_state()) return;
  restore(0);
  EXPECT_FALSE(engine().truncate(0, kPrefix - kBlock));
  ASSERT_TRUE(engine().fork(0, 1, kPrefix));
  expect_code(engine().load_state(1, kPrefix, saved().earlier), Code::corrupt);
  EXPECT_TRUE(steps(1, kPrefix).empty());
  EXPECT_FALSE(engine().save_state(1));
  ASSERT_TRUE(load_blocks(2));
  EXPECT_TRUE(steps(2, kPrefix).empty());
  expect_code(engine().load_state(2, kPrefix - 1, saved().state), has_rows() ? Code::failed : Code::corrupt);
}

// Guesses are computed behind a token that is sure and forgotten where they were wrong, for longer than a window.
TEST_P(State, WhatADecodeAddedBehindItsFirstTokenIsForgotten) {
  if (!engine().info().takes_back) {
    restore(0);
    ASSERT_EQ(feed(0, kPrefix, kPrefix + 2), Decoded::ok);
    EXPECT_FALSE(engine().truncate(0, kPrefix + 1));
    return;
  }
  constexpr Position kGuesses = 16;
  const Position rounds = GetParam().random && has_state() ? 600 : 20;
  restore(0);
  for (Position at = kPrefix; at < kPrefix + rounds; ++at) {
    std::vector<BatchToken> batch;
    for (Position i = 0; i <= kGuesses; ++i)
      batch.push_back({tokens_[static_cast<std::size_t>(i == 0 ? at : 2 * i)], 0, at + i, true});
    ASSERT_EQ(engine().decode(batch), Decoded::ok) << at;
    ASSERT_TRUE(engine().truncate(0, at + 1)) << at;
  }
  const Logits with = steps(0, kPrefix + rounds);
  restore(1);
  ASSERT_EQ(feed(1, kPrefix, kPrefix + rounds), Decoded::ok);
  expect_close(with, steps(1, kPrefix + rounds));
}

// And the state matters: one of the right position and another text gives other logits.
TEST_P(State, AnotherTextsStateGivesOtherLogits) {
  if (!has_state()) return;
  std::reverse(tokens_.begin(), tokens_.begin() + kPrefix);
  ASSERT_EQ(feed(2, 0, kPrefix), Decoded::ok);
  const auto other = engine().save_state(2);
  std::reverse(tokens_.begin(), tokens_.begin() + kPrefix);
  empty();
  ASSERT_TRUE(other && load_blocks(1) && load_state(1, *other));
  const Logits wrong = steps(1, kPrefix);
  ASSERT_FALSE(wrong.empty());
  EXPECT_NE(wrong, saved().next);
}

TEST_P(State, DamagedBytesAreRefusedAndLeaveTheSequenceAlone) {
  std::mt19937 random(7);
  const auto damage = [&random](Bytes bytes, std::size_t bound) {
    for (int i = 0; i < 3; ++i)
      bytes[random() % std::min(bound, bytes.size())] ^= static_cast<std::byte>(1 + random() % 255);
    return bytes;
  };
  if (has_rows()) {
    ASSERT_TRUE(load_blocks(1, kBlock));
    const Bytes& rows = saved().blocks[1];
    for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{19}, rows.size() / 2, rows.size() - 1})
      expect_code(engine().load(1, kBlock, 2 * kBlock, std::span(rows).first(size)), Code::corrupt);
    expect_code(engine().load(1, kBlock, 2 * kBlock, saved().blocks[2]), Code::corrupt);
    expect_code(engine().load(1, 2 * kBlock, 3 * kBlock, saved().blocks[2]), Code::failed);
    expect_code(engine().load(1, kBlock, 2 * kBlock + 1, rows), Code::corrupt);
    expect_code(engine().load(1, kBlock, 2 * kBlock, saved().state), Code::corrupt);
    for (int i = 0; i < (GetParam().random ? 300 : 30); ++i) {
      if (engine().load(1, kBlock, 2 * kBlock, damage(rows, 3000))) {  // a sequence id or a row was hit
        engine().drop(1);
        ASSERT_TRUE(load_blocks(1, kBlock));
      }
    }
    ASSERT_TRUE(engine().load(1, kBlock, 2 * kBlock, rows));
  }
  if (!has_state()) return;
  const Bytes& state = saved().state;
  for (int i = 0; i < (GetParam().random ? 100 : 10); ++i) {  // a real model's rows take their time
    engine().drop(2);
    ASSERT_TRUE(load_blocks(2));
    expect_code(engine().load_state(2, kPrefix, std::span(state).first(random() % state.size())), Code::corrupt);
    const Status set = engine().load_state(2, kPrefix, damage(state, 200));
    EXPECT_TRUE(set || set.error().code == Code::corrupt) << set.error().message;
  }
  engine().drop(2);
  ASSERT_TRUE(load_blocks(2));
  ASSERT_TRUE(load_state(2, saved().state));
  EXPECT_FALSE(steps(2, kPrefix).empty());
}

// Window cells with two owners are never reclaimed: siblings that only shared them would starve.
TEST_P(State, ManyForksGrowLong) {
  restore(0);
  for (SequenceId s = 1; s < 4; ++s) {
    ASSERT_TRUE(engine().fork(0, s, kPrefix));
    ASSERT_TRUE(load_state(s, saved().state));
  }
  const Position grown = GetParam().random || has_state() ? kPrefix + 3 * kBlock : kPrefix + 64;
  for (SequenceId s = 0; s < 4; ++s) EXPECT_EQ(feed(s, kPrefix, grown), Decoded::ok) << "sequence " << s;
}

TEST_P(State, BatchesThatDoNotContinueASequenceAreRefused) {
  ASSERT_EQ(feed(0, 0, 10), Decoded::ok);
  EXPECT_FALSE(engine().decode(std::vector<BatchToken>{{20, 0, 11, true}}));
  EXPECT_FALSE(engine().decode(std::vector<BatchToken>{{20, 4, 0, true}}));
  EXPECT_FALSE(engine().decode(std::vector<BatchToken>{{engine().vocab().size(), 0, 10, true}}));
  EXPECT_FALSE(engine().decode(std::vector<BatchToken>(10'000)));
  EXPECT_FALSE(engine().decode({}));
  EXPECT_EQ(feed(0, 10, 11), Decoded::ok);
}

// With several threads a lone row has another beside it where other sequences have most of the cells.
TEST_P(State, ALoneRowAmongOthersCellsSaysTheSame) {
  if (!GetParam().random || has_state()) GTEST_SKIP() << "of models with attention only; a small one is enough";
  const auto threaded = make(4, 2);
  ASSERT_TRUE(threaded);
  use(*threaded);
  const Position length = 2048 + 10;
  ASSERT_EQ(feed(0, 0, length), Decoded::ok);
  const Logits alone = steps(0, length);
  ASSERT_EQ(alone.size(), static_cast<std::size_t>(kSteps));
  ASSERT_TRUE(engine().truncate(0, length));
  ASSERT_EQ(feed(1, 0, 4000), Decoded::ok);
  const Logits among = steps(0, length);
  ASSERT_EQ(among.size(), alone.size());
  for (std::size_t step = 0; step < alone.size(); ++step) {
    for (std::size_t i = 0; i < alone[step].size(); ++i) ASSERT_NEAR(among[step][i], alone[step][i], 0.01);
  }
  // Not at the price of the last cell.
  const Position own = length + kSteps;
  ASSERT_EQ(feed(2, 0, engine().info().cells - own - 4000 - 1), Decoded::ok);
  EXPECT_EQ(feed(0, own, own + 1), Decoded::ok);
  EXPECT_EQ(feed(0, own + 1, own + 2), Decoded::no_room);
}

INSTANTIATE_TEST_SUITE_P(
    Models, State,
    testing::Values(Case{"SmolLM2", "SmolLM2-135M-Instruct.Q4_1.gguf", false, StateKind::attention, true},
                    Case{"Gemma3", "gemma-3-270m-Q4_K_M.gguf", false, StateKind::sliding_window, true},
                    Case{"RandomLlama", "llama-dense.gguf", true, StateKind::attention, true},
                    Case{"RandomGemma3", "gemma3-dense.gguf", true, StateKind::sliding_window, true},
                    Case{"RandomLfm2", "lfm2-dense.gguf", true, StateKind::recurrent, true},
                    Case{"RandomQwen3Next", "qwen3next-moe.gguf", true, StateKind::recurrent, true},
                    Case{"RandomJamba", "jamba-dense.gguf", true, StateKind::recurrent, true},
                    Case{"RandomMamba", "mamba-dense.gguf", true, StateKind::recurrent, false}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace kvern::engine
