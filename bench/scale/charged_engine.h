// The fake engine, charged in fake time for what a described machine would take.
//
// The fake engine checks every reuse: a sequence that uses cells of other tokens fails at its next step, so time
// that was saved wrongly cannot show up in a projection.
//
// Thread: the caller's.
#pragma once

#include <cstdint>
#include <span>

#include "base/clock.h"
#include "engine/fake/fake_engine.h"
#include "scale/machine.h"

namespace kvern::bench {

class ChargedEngine final : public engine::Engine {
 public:
  // All must outlive it.
  ChargedEngine(engine::FakeEngine& fake, FakeClock& clock, const Machine& machine, const Model& model)
      : fake_(fake), clock_(clock), machine_(machine), model_(model) {}

  std::int64_t steps = 0;

  const engine::Info& info() const override { return fake_.info(); }
  const Vocab& vocab() const override { return fake_.vocab(); }

  Result<engine::Decoded> decode(std::span<const engine::BatchToken> batch) override {
    TRY(const engine::Decoded decoded, fake_.decode(batch));
    ++steps;
    if (decoded == engine::Decoded::ok)
      take_us(step_us(machine_, model_, load_of(machine_, batch, fake_.cells_in_use())));
    return decoded;
  }
  std::span<const float> logits(std::size_t row) override { return fake_.logits(row); }

  Status fork(engine::SequenceId from, engine::SequenceId to, engine::Position end) override {
    return fake_.fork(from, to, end);
  }
  bool truncate(engine::SequenceId sequence, engine::Position end) override { return fake_.truncate(sequence, end); }
  void drop(engine::SequenceId sequence) override { fake_.drop(sequence); }

  Result<engine::Bytes> save(engine::SequenceId sequence, engine::Position begin, engine::Position end) override {
    take_us(copy_us(machine_, model_, end - begin));
    return fake_.save(sequence, begin, end);
  }
  Status load(engine::SequenceId sequence, engine::Position begin, engine::Position end,
              std::span<const std::byte> bytes) override {
    take_us(copy_us(machine_, model_, end - begin));
    return fake_.load(sequence, begin, end, bytes);
  }
  Result<engine::Bytes> save_state(engine::SequenceId sequence) override { return fake_.save_state(sequence); }
  Status load_state(engine::SequenceId sequence, engine::Position end, std::span<const std::byte> bytes) override {
    return fake_.load_state(sequence, end, bytes);
  }
  void abort() override { fake_.abort(); }
  void clear_abort() override { fake_.clear_abort(); }

 private:
  void take_us(double us) { clock_.advance_us(static_cast<std::int64_t>(us)); }

  engine::FakeEngine& fake_;
  FakeClock& clock_;
  const Machine& machine_;
  const Model& model_;
};

}  // namespace kvern::bench
