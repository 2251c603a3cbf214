// An engine without a model: says what a script says, and checks how its KV is used.
//
// Everything above the seam runs on it unchanged: tests, fuzzers, and `kvern serve --model
// fake:SCRIPT.json` for real clients. At every decode it recomputes, for each sequence of the
// batch, the hash chain of the tokens its cells claim. A wrong reuse, a lost block or a missed
// load_state() is therefore Code::corrupt at the next decode, with the position.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/fake/fake_vocab.h"
#include "engine/fake/kv.h"
#include "engine/fake/script.h"
#include "engine/fake/speech.h"

namespace kvern::engine {

// 0: as the script says.
struct Overrides {
  std::int32_t context = 0;
  std::int32_t sequences = 0;
  std::int32_t cells = 0;
  bool rows_in_parallel = true;
};

// How long a step takes in a test's own time.
struct FakeCost {
  std::int64_t step_us = 0;
  double token_us = 0;     // each token of the batch
  double position_us = 0;  // and each token before it
  double few_us = 0;       // more for each token of a batch of fewer than 64, as where those are computed one by one
};

class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(Script script);

  // From now on every decode moves the clock, which must outlive the engine.
  void charge(FakeClock& clock, const FakeCost& cost) {
    clock_ = &clock;
    cost_ = cost;
  }

  // The script's "dialect", as written. Thread: any.
  const std::string& dialect() const { return script_.dialect; }

  // For tests: what a sequence holds, and how many cells all of them hold.
  std::vector<TokenId> tokens(SequenceId sequence) const;
  std::int32_t cells_in_use() const { return info_.cells - kv_.cells_free(); }

  // Self-checks that failed in this process. Thread: any.
  static std::uint64_t mismatches() { return mismatches_.load(); }

  const Info& info() const override { return info_; }
  const Vocab& vocab() const override { return vocab_; }
  Result<Decoded> decode(std::span<const BatchToken> batch) override;
  std::span<const float> logits(std::size_t row) override;
  Status fork(SequenceId from, SequenceId to, Position end) override;
  bool truncate(SequenceId sequence, Position end) override;
  void drop(SequenceId sequence) override;
  Result<Bytes> save(SequenceId sequence, Position begin, Position end) override;
  Status load(SequenceId sequence, Position begin, Position end, std::span<const std::byte> bytes) override;
  Result<Bytes> save_state(SequenceId sequence) override;
  Status load_state(SequenceId sequence, Position end, std::span<const std::byte> bytes) override;
  void abort() override;
  void clear_abort() override;

 private:
  using Time = std::chrono::steady_clock::time_point;

  Status check_id(SequenceId sequence) const;
  Status check_batch(std::span<const BatchToken> batch) const;
  Status begin_sequences(std::span<const BatchToken> batch);
  std::vector<Time> schedule(std::span<const BatchToken> batch) const;
  bool wait_until(Time due);
  void commit(const BatchToken& token, std::size_t row);
  void charge_for(std::span<const BatchToken> batch) const;

  const Script script_;
  const Info info_;
  const FakeVocab vocab_;
  Kv kv_;
  Speech speech_;
  FakeClock* clock_ = nullptr;  // null: decoding takes no time of its own
  FakeCost cost_;

  std::vector<float> logits_;              // rows of the vocabulary's size
  std::vector<std::int32_t> logits_rows_;  // by batch index, -1: not wanted

  std::mutex abort_mutex_;
  std::condition_variable abort_changed_;
  bool aborted_ = false;  // under abort_mutex_

  static std::atomic<std::uint64_t> mismatches_;
};

// Code::not_found when there is no such file; Code::invalid names the wrong field. Convertible to
// Result<std::unique_ptr<Engine>>.
Result<std::unique_ptr<FakeEngine>> make_fake_engine(const std::string& script_path, Overrides overrides = {});
Result<std::unique_ptr<FakeEngine>> make_fake_engine_from_text(std::string_view json_text, Overrides overrides = {});

}  // namespace kvern::engine
