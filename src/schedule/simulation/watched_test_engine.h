// The fake engine with somebody who looks at its batches: how long others' tokens made a stream wait.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "engine/fake/fake_engine.h"
#include "schedule/latency_credit.h"
#include "schedule/plan.h"

namespace kvern::schedule::simulation {

class WatchedEngine final : public engine::Engine {
 public:
  // target: how much longer than an undisturbed step one beside a prompt may take.
  WatchedEngine(engine::FakeEngine& fake, engine::FakeCost cost, double target)
      : fake_(fake), cost_(cost), target_(target) {}

  std::int64_t steps = 0;
  std::int64_t beside_steps = 0;  // with streams, and something beside them
  std::string complaint;          // the first

  // A client left: whatever goes on where its answer stopped is another's prompt.
  // For some steps, until all who decode were seen again, nothing is judged.
  void forget_streams() {
    drawn_at_.clear();
    blind_until_ = steps + kBlindSteps;
  }

  Result<engine::Decoded> decode(std::span<const engine::BatchToken> batch) override {
    auto decoded = fake_.decode(batch);
    if (decoded && *decoded == engine::Decoded::ok) watch(batch);
    if (!decoded && complaint.empty()) complaint = decoded.error().message;
    return decoded;
  }

  const engine::Info& info() const override { return fake_.info(); }
  const Vocab& vocab() const override { return fake_.vocab(); }
  std::span<const float> logits(std::size_t row) override { return fake_.logits(row); }
  Status fork(engine::SequenceId from, engine::SequenceId to, engine::Position end) override {
    return fake_.fork(from, to, end);
  }
  // Behind a wrong guess the stream goes on; what was drawn before that belongs to another time.
  bool truncate(engine::SequenceId sequence, engine::Position end) override {
    const auto drawn = drawn_at_.find(sequence);
    if (drawn != drawn_at_.end() && end > drawn->second.first && end <= drawn->second.last + 1) {
      drawn->second.last = end - 1;
    } else {
      drawn_at_.erase(sequence);
    }
    return fake_.truncate(sequence, end);
  }
  void drop(engine::SequenceId sequence) override {
    drawn_at_.erase(sequence);
    fake_.drop(sequence);
  }
  Result<engine::Bytes> save(engine::SequenceId sequence, engine::Position begin, engine::Position end) override {
    return fake_.save(sequence, begin, end);
  }
  Status load(engine::SequenceId sequence, engine::Position begin, engine::Position end,
              std::span<const std::byte> bytes) override {
    return fake_.load(sequence, begin, end, bytes);
  }
  Result<engine::Bytes> save_state(engine::SequenceId sequence) override { return fake_.save_state(sequence); }
  Status load_state(engine::SequenceId sequence, engine::Position end, std::span<const std::byte> bytes) override {
    return fake_.load_state(sequence, end, bytes);
  }
  void abort() override { fake_.abort(); }
  void clear_abort() override { fake_.clear_abort(); }

 private:
  struct Part {
    std::int32_t tokens = 0;
    std::int32_t silent = 0;  // of them, without logits
    bool decodes = false;
    engine::Position begin = 0;
    engine::Position first_drawn = -1;

    bool draws() const { return first_drawn >= 0; }
    // It may be a stream that came back from RAM.
    bool resumes() const { return silent == 0; }
  };
  // Of the last decode that drew.
  struct Drawn {
    engine::Position first = 0;
    engine::Position last = 0;
  };

  void watch(std::span<const engine::BatchToken> batch) {
    ++steps;
    std::map<engine::SequenceId, Part> parts;
    for (const engine::BatchToken& token : batch) {
      Part& part = parts[token.sequence];
      const auto drawn = drawn_at_.find(token.sequence);
      // The token that ends an answer is computed only when a prompt goes on behind it.
      if (part.tokens == 0) part.begin = token.position;
      if (part.tokens++ == 0)
        part.decodes = drawn != drawn_at_.end() && drawn->second.last + 1 == token.position &&
                       !vocab().ends_generation(token.token);
      part.silent += !token.wants_logits;
      if (token.wants_logits && !part.draws()) part.first_drawn = token.position;
      // A run of known tokens may take several steps.
      if (token.wants_logits || part.decodes)
        drawn_at_[token.sequence] = {part.draws() ? part.first_drawn : token.position, token.position};
    }
    std::int32_t streams = 0;
    std::int32_t beside = 0;
    std::int32_t resumed = 0;
    for (const auto& [sequence, part] : parts) {
      streams += part.decodes;
      resumed += !part.decodes && part.draws();
    }
    for (const auto& [sequence, part] : parts) {
      // A stream alone waits for its own forced tokens only.
      if (part.decodes && streams > 1) beside += part.tokens - 1;
      if (!part.decodes) beside += part.resumes() ? part.tokens - 1 : part.tokens;
    }
    if (streams == 0) credit_.undisturbed();
    if (streams == 0 || steps < blind_until_) return;
    // Who draws may have come back from RAM with known tokens behind its last one, which is its own.
    const double alone_us = static_cast<double>(cost_.step_us) + cost_.token_us * (streams + resumed);
    if (credit_.most_us() == 0 && blind_until_ > 0) {  // the scheduler saw steps while nothing was judged
      credit_.decoded(alone_us, alone_us);
      credit_.undisturbed();
    }
    // The scheduler goes by measured time and sees streams begin and end a step earlier: one short prompt more.
    const double had_us = credit_.left_together_us() + credit_.most_us();
    credit_.decoded(alone_us, alone_us + cost_.token_us * std::max(0, beside - resumed));
    if (beside == 0) return;
    ++beside_steps;
    const std::int32_t allowed = std::max(StepCost::Chunk().least, affordable(streams + resumed)) + resumed +
                                 static_cast<std::int32_t>(had_us / cost_.token_us);
    if (beside <= allowed || !complaint.empty()) return;
    complaint = std::to_string(beside) + " tokens beside " + std::to_string(streams) + " streams, " +
                std::to_string(allowed) + " are allowed:";
    for (const auto& [sequence, part] : parts)
      complaint += " [" + std::to_string(sequence) + ": " + std::to_string(part.tokens) + " from " +
                   std::to_string(part.begin) + (part.decodes ? ", decoding]" : "]");
  }

  std::int32_t affordable(std::int32_t streams) const {
    const double step_us = static_cast<double>(cost_.step_us) + cost_.token_us * streams;
    return static_cast<std::int32_t>((target_ - 1) * step_us / cost_.token_us) + 1;
  }

  static constexpr std::int64_t kBlindSteps = 40;  // longer than the slowest reader is away

  engine::FakeEngine& fake_;
  engine::FakeCost cost_;
  double target_;
  std::map<engine::SequenceId, Drawn> drawn_at_;
  std::int64_t blind_until_ = 0;
  LatencyCredit credit_{target_};  // as the scheduler should count it
};

}  // namespace kvern::schedule::simulation
