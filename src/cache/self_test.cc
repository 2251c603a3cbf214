#include "cache/self_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

namespace kvern::cache {
namespace {

using engine::BatchToken;
using engine::Bytes;
using engine::Decoded;
using engine::Position;
using engine::SequenceId;
using engine::StateKind;

constexpr Position kBlock = 16;
constexpr Position kPrefix = 2 * kBlock;
constexpr Position kFollowing = 8;
constexpr Position kTokens = kPrefix + kFollowing;
// Restored in ascending order into an emptied engine the logits should be equal to the bit. Backends
// that sum in no fixed order are let through; wrong rows are further off by far.
constexpr float kTolerance = 1e-3F;
// A forked child's window lies in other cells than its parent's did, and the same rows elsewhere are
// summed in another order: 2.5 % of the logits' range on Gemma 3. Without the state it is all of it.
constexpr float kMovedTolerance = 0.1F;

using Logits = std::vector<std::vector<float>>;

class Trial {
 public:
  explicit Trial(engine::Engine& engine) : engine_(engine) {
    const std::int32_t ids = std::max(1, engine.vocab().size());
    for (Position i = 0; i < kTokens; ++i) tokens_.push_back((11 + i * 37) % ids);
    other_ = engine.info().sequences > 1 ? 1 : 0;
  }

  // The uninterrupted run that everything is compared with; saves on the way.
  Status compute() {
    for (Position at = 0; at < kPrefix; at += kBlock) TRY_OK(feed(0, at, at + kBlock));
    TRY(expected_, follow(0));
    return {};
  }

  Status decode_twice() {
    for (Position at = 0; at < kPrefix; at += kBlock) TRY_OK(feed(0, at, at + kBlock));
    return compare(0, "decoding the same tokens twice");
  }

  Status save() {
    for (Position at = 0; at < kPrefix; at += kBlock) {
      TRY_OK(feed(0, at, at + kBlock));
      TRY(blocks_.emplace_back(), engine_.save(0, at, at + kBlock));
    }
    if (has_state()) {
      TRY(state_, engine_.save_state(0));
    }
    return compare(0, "going on after saving");
  }

  Status restore() {
    for (std::size_t i = 0; engine_.info().has_rows && i < blocks_.size(); ++i) {
      const auto at = static_cast<Position>(i) * kBlock;
      TRY_OK(engine_.load(other_, at, at + kBlock, blocks_[i]));
    }
    TRY_OK(set_state());
    return compare(other_, "restoring rows and state");
  }

  // The parent stays: in the cells it would leave, the child's next rows would come before its own.
  Status fork() {
    if (other_ == 0) return {};
    for (Position at = 0; at < kPrefix; at += kBlock) TRY_OK(feed(0, at, at + kBlock));
    TRY_OK(engine_.fork(0, other_, kPrefix));
    TRY_OK(set_state());
    return compare(other_, "forking", has_state() ? kMovedTolerance : kTolerance);
  }

  // The beginning of a block alone, as a conversation that ends inside it needs it.
  Status restore_part() {
    if (has_state()) return {};  // there is no state for a place inside a block
    TRY_OK(engine_.load(other_, 0, kBlock, blocks_[0]));
    TRY_OK(engine_.load(other_, kBlock, kPrefix - 3, blocks_[1]));
    TRY_OK(feed(other_, kPrefix - 3, kPrefix));
    return compare(other_, "restoring a part of a block");
  }

  void empty() {
    engine_.drop(0);
    engine_.drop(other_);
  }

 private:
  bool has_state() const { return engine_.info().state != StateKind::attention; }

  // An engine that decodes without its state would give garbage to a cache that forgot one.
  Status set_state() {
    if (!has_state()) return {};
    if (engine_.info().has_rows && feed(other_, kPrefix, kPrefix + 1))
      return fail(Code::failed, "the engine goes on without the state it needs");
    return engine_.load_state(other_, kPrefix, state_);
  }

  enum class Wants { nothing, logits };  // of the last token

  Status feed(SequenceId sequence, Position begin, Position end, Wants wants = Wants::nothing) {
    const Position most = std::max(1, engine_.info().batch);
    for (Position at = begin; at < end; at += most) {
      std::vector<BatchToken> batch;
      for (Position i = at; i < std::min(end, at + most); ++i)
        batch.push_back({tokens_[static_cast<std::size_t>(i)], sequence, i, false});
      batch.back().wants_logits = wants == Wants::logits;
      row_ = batch.size() - 1;
      TRY(const Decoded decoded, engine_.decode(batch));
      if (decoded != Decoded::ok) return fail(Code::failed, "the engine did not finish a decode");
    }
    return {};
  }

  Result<Logits> follow(SequenceId sequence) {
    Logits out;
    for (Position i = kPrefix; i < kTokens; ++i) {
      TRY_OK(feed(sequence, i, i + 1, Wants::logits));
      const std::span<const float> row = engine_.logits(row_);
      out.emplace_back(row.begin(), row.end());
    }
    return out;
  }

  Status compare(SequenceId sequence, std::string_view what, float tolerance = kTolerance) {
    TRY(const Logits found, follow(sequence));
    for (std::size_t i = 0; i < expected_.size(); ++i) {
      const auto [low, high] = std::minmax_element(expected_[i].begin(), expected_[i].end());
      const float allowed = expected_[i].empty() ? 0 : (*high - *low) * tolerance;
      bool equal = found[i].size() == expected_[i].size();
      for (std::size_t j = 0; equal && j < found[i].size(); ++j)
        equal = std::abs(found[i][j] - expected_[i][j]) <= allowed;  // false for NaN
      if (!equal) return fail(Code::failed, fmt::format("{} gives other logits after {} tokens", what, i + 1));
    }
    return {};
  }

  engine::Engine& engine_;
  SequenceId other_ = 0;
  std::vector<TokenId> tokens_;
  std::vector<Bytes> blocks_;
  Bytes state_;
  Logits expected_;
  std::size_t row_ = 0;
};

}  // namespace

std::string_view to_string(SelfTest::Level level) {
  switch (level) {
    case SelfTest::Level::full: return "full";
    case SelfTest::Level::whole_sequences: return "whole_sequences";
    case SelfTest::Level::off: return "off";
  }
  return "";
}

SelfTest self_test(engine::Engine& engine) {
  if (std::min(engine.info().context, engine.info().cells) < kTokens)
    return {SelfTest::Level::off, fmt::format("a context of less than {} tokens is not worth a cache", kTokens)};
  Trial trial(engine);
  const auto run = [&trial](Status (Trial::*step)()) {
    Status status = (trial.*step)();
    trial.empty();
    return status;
  };
  for (const auto step : {&Trial::compute, &Trial::decode_twice}) {
    if (const Status status = run(step); !status) return {SelfTest::Level::off, status.error().message};
  }
  for (const auto step : {&Trial::save, &Trial::restore, &Trial::restore_part, &Trial::fork}) {
    if (const Status status = run(step); !status) return {SelfTest::Level::whole_sequences, status.error().message};
  }
  return {SelfTest::Level::full, ""};
}

}  // namespace kvern::cache
