#include "cache/self_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/fake/fake_engine.h"

namespace kvern::cache {
namespace {

using engine::Bytes;
using engine::Decoded;
using engine::Position;
using engine::SequenceId;
using testing::HasSubstr;
using Level = SelfTest::Level;

std::unique_ptr<engine::FakeEngine> make_engine(const std::string& state, const std::string& more = "") {
  const std::string window = state == "sliding_window" ? R"("window": 8, )" : "";
  auto made = engine::make_fake_engine_from_text(R"({"context": 256, "state": ")" + state + R"(", )" + window + more +
                                                 R"("rules": [{"say": "hello"}]})");
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

// A fake engine that is right until a test replaces one of its answers.
class Liar : public engine::Engine {
 public:
  explicit Liar(const std::string& state) : real_(make_engine(state)) {}

  std::function<void(Bytes&)> on_save;
  std::function<Status(Liar&, SequenceId, Position, Position, std::span<const std::byte>)> on_load;
  std::function<Status(Liar&, SequenceId, SequenceId, Position)> on_fork;
  std::function<Status(Liar&, SequenceId, Position, std::span<const std::byte>)> on_load_state;
  std::function<void(std::vector<float>&)> on_logits;

  engine::FakeEngine& real() { return *real_; }

  const engine::Info& info() const override { return real_->info(); }
  const Vocab& vocab() const override { return real_->vocab(); }
  Result<Decoded> decode(std::span<const engine::BatchToken> batch) override { return real_->decode(batch); }
  std::span<const float> logits(std::size_t row) override {
    const auto values = real_->logits(row);
    logits_.assign(values.begin(), values.end());
    if (on_logits) on_logits(logits_);
    return logits_;
  }
  Status fork(SequenceId from, SequenceId to, Position end) override {
    return on_fork ? on_fork(*this, from, to, end) : real_->fork(from, to, end);
  }
  bool truncate(SequenceId sequence, Position end) override { return real_->truncate(sequence, end); }
  void drop(SequenceId sequence) override { real_->drop(sequence); }
  Result<Bytes> save(SequenceId sequence, Position begin, Position end) override {
    auto bytes = real_->save(sequence, begin, end);
    if (bytes && on_save) on_save(*bytes);
    return bytes;
  }
  Status load(SequenceId sequence, Position begin, Position end, std::span<const std::byte> bytes) override {
    return on_load ? on_load(*this, sequence, begin, end, bytes) : real_->load(sequence, begin, end, bytes);
  }
  Result<Bytes> save_state(SequenceId sequence) override { return real_->save_state(sequence); }
  Status load_state(SequenceId sequence, Position end, std::span<const std::byte> bytes) override {
    return on_load_state ? on_load_state(*this, sequence, end, bytes) : real_->load_state(sequence, end, bytes);
  }
  void abort() override { real_->abort(); }
  void clear_abort() override { real_->clear_abort(); }

 private:
  std::unique_ptr<engine::FakeEngine> real_;
  std::vector<float> logits_;
};

void expect_level(Liar& liar, Level level, const std::string& words) {
  const SelfTest result = self_test(liar);
  EXPECT_EQ(result.level, level) << to_string(result.level);
  EXPECT_THAT(result.reason, HasSubstr(words));
  EXPECT_EQ(liar.real().cells_in_use(), 0) << "nothing is left behind";
}

TEST(SelfTest, AnHonestEngineOfAnyKindMayDoEverything) {
  for (const char* state : {"attention", "sliding_window", "hybrid", "recurrent"}) {
    const auto engine = make_engine(state);
    const SelfTest result = self_test(*engine);
    EXPECT_EQ(result.level, Level::full) << state << ": " << result.reason;
    EXPECT_EQ(result.reason, "");
    EXPECT_EQ(engine->cells_in_use(), 0);
  }
}

TEST(SelfTest, SmallBatchesAndOneSequenceAreEnough) {
  for (const char* state : {"attention", "hybrid"}) {
    const auto engine = make_engine(state, R"("batch": 3, "sequences": 1, )");
    EXPECT_EQ(self_test(*engine).level, Level::full) << state;
  }
}

TEST(SelfTest, AContextTooSmallForTheTestGetsNoCache) {
  auto made = engine::make_fake_engine_from_text(R"({"context": 39, "rules": []})");
  ASSERT_TRUE(made);
  EXPECT_EQ(self_test(**made).level, Level::off);
}

TEST(SelfTest, AnEngineThatDecodesDifferentlyEachTimeGetsNoCache) {
  Liar liar("attention");
  int calls = 0;
  liar.on_logits = [&calls](std::vector<float>& logits) { logits[0] += static_cast<float>(++calls); };
  expect_level(liar, Level::off, "decoding the same tokens twice gives other logits");
}

TEST(SelfTest, NoiseInTheLastBitsIsNoLie) {
  Liar liar("attention");
  int calls = 0;
  liar.on_logits = [&calls](std::vector<float>& logits) { logits[0] += ++calls % 2 == 0 ? 1e-4F : 0.0F; };
  expect_level(liar, Level::full, "");
}

TEST(SelfTest, RowsThatAreSavedWrongAreNotUsed) {
  Liar liar("attention");
  liar.on_save = [](Bytes& bytes) { bytes[16] ^= std::byte{1}; };
  expect_level(liar, Level::whole_sequences, "computed for another prefix");
}

// No error anywhere: only the logits can tell.
TEST(SelfTest, RowsThatAreLoadedSilentlyWrongAreNotUsed) {
  Liar liar("attention");
  bool loaded = false;
  liar.on_load = [&loaded](Liar& self, auto sequence, auto begin, auto end, auto bytes) {
    loaded = true;
    return self.real().load(sequence, begin, end, bytes);
  };
  liar.on_logits = [&loaded](std::vector<float>& logits) { logits[7] += loaded ? 5.0F : 0.0F; };
  expect_level(liar, Level::whole_sequences, "restoring rows and state gives other logits after 1 tokens");
}

TEST(SelfTest, AnEngineThatCannotLoadGoesOnWithWholeSequences) {
  Liar liar("attention");
  liar.on_load = [](Liar&, auto, auto, auto, auto) { return Status(fail(Code::failed, "not built for this")); };
  expect_level(liar, Level::whole_sequences, "not built for this");
}

TEST(SelfTest, ANumberThatIsNoneIsNotEqual) {
  Liar liar("attention");
  bool loaded = false;
  liar.on_load = [&loaded](Liar& self, auto sequence, auto begin, auto end, auto bytes) {
    loaded = true;
    return self.real().load(sequence, begin, end, bytes);
  };
  liar.on_logits = [&loaded](std::vector<float>& logits) {
    if (loaded) logits[3] = std::numeric_limits<float>::quiet_NaN();
  };
  expect_level(liar, Level::whole_sequences, "restoring");
}

TEST(SelfTest, AForkOfTheWrongLengthIsFound) {
  Liar liar("attention");
  liar.on_fork = [](Liar& self, auto from, auto to, auto end) { return self.real().fork(from, to, end - 1); };
  expect_level(liar, Level::whole_sequences, "position");
}

TEST(SelfTest, AForkOfOtherTokensIsFound) {
  Liar liar("attention");
  bool forked = false;
  liar.on_fork = [&forked](Liar& self, auto from, auto to, auto end) {
    forked = true;
    return self.real().fork(from, to, end);
  };
  liar.on_logits = [&forked](std::vector<float>& logits) { logits[7] += forked ? 5.0F : 0.0F; };
  expect_level(liar, Level::whole_sequences, "forking gives other logits");
}

// libllama's own trap: without its state a sequence decodes, and gives garbage.
TEST(SelfTest, AnEngineThatGoesOnWithoutItsStateIsNotTrusted) {
  for (const char* state : {"sliding_window", "hybrid"}) {
    Liar liar(state);
    liar.on_load = [](Liar& self, auto sequence, auto begin, auto end, auto bytes) {
      auto status = self.real().load(sequence, begin, end, bytes);
      if (end == 32) {  // a state nobody asked for
        self.real().drop(0);
        std::vector<engine::BatchToken> batch;
        const auto held = self.real().tokens(sequence);
        for (Position i = 0; i < end; ++i) batch.push_back({held[static_cast<std::size_t>(i)], 0, i, false});
        EXPECT_TRUE(self.real().decode(batch));
        EXPECT_TRUE(self.real().load_state(sequence, end, *self.real().save_state(0)));
      }
      return status;
    };
    expect_level(liar, Level::whole_sequences, "goes on without the state it needs");
  }
}

TEST(SelfTest, AStateThatIsSetWrongIsFound) {
  for (const char* state : {"sliding_window", "hybrid", "recurrent"}) {
    Liar liar(state);
    liar.on_load_state = [](Liar& self, auto sequence, auto end, auto bytes) {
      Bytes wrong(bytes.begin(), bytes.end());
      wrong[16] ^= std::byte{1};
      return self.real().load_state(sequence, end, wrong);
    };
    expect_level(liar, Level::whole_sequences, "computed for another prefix");
  }
}

}  // namespace
}  // namespace kvern::cache
