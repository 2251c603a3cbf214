// What a step costs here, learned from the steps there were: how long streams decode undisturbed, and
// what a prompt token adds to that.
//
// Every figure is the median of its last few measurements, so that one step during which the machine did
// something else changes nothing. Prompt tokens are measured apart by depth, because attention grows with
// it; by company; and by how many come at once, because where rows are computed together one of few costs more
// than one of many. What was not measured counts as cheap as in a full batch, until it was.
//
// Thread: engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace kvern::schedule {

struct StepShape {
  std::int32_t decoding = 0;  // sequences that decoded
  std::int32_t beside = 0;    // tokens beyond one for each of them that are no guesses
  std::int32_t depth = 0;     // about where those are
  std::int32_t drafted = 0;   // guessed tokens, with logits
};

class StepCost {
 public:
  void measured(const StepShape& step, std::int64_t us);

  // A step that only decodes so many sequences. Unset: not known, or known for so long that one such
  // step should be measured again.
  std::optional<double> decode_us(std::int32_t decoding) const;

  // A step that computes so many tokens with logits and nothing else: one for each stream, and drafts. What was
  // not measured lies between what was, or beyond it at a guess. Unset: nothing was measured.
  std::optional<double> rows_us(std::int32_t rows) const;
  static constexpr std::int32_t kRowsMax = 80;  // more rows are not told apart

  // So many tokens of a prompt beyond `depth`, in full batches and with nobody beside. Unset: nothing was measured.
  std::optional<double> prompt_us(std::int32_t tokens, std::int32_t depth) const;

  // How much of a prompt to compute beside streams that wait no longer than `us` for it; longer where each of so few
  // tokens would cost more than kWorthwhile times what each of many does.
  struct Chunk {
    std::optional<double> token_us;  // what each token of it is expected to add; unset: nothing was measured
    std::int32_t least = 1;          // not fewer, whatever they take
    std::int32_t most = INT32_MAX;   // not more: token_us is not what each of so many costs
  };
  Chunk chunk(std::int32_t depth, double us) const;
  static constexpr double kWorthwhile = 4;

 private:
  class Median {
   public:
    void add(double value);
    void clear() { count_ = 0; }
    bool empty() const { return count_ == 0; }
    bool settled() const { return count_ >= 3; }
    double value() const;

   private:
    static constexpr std::size_t kKept = 5;
    std::array<double, kKept> values_{};
    std::size_t count_ = 0;  // ever added
  };
  // By doublings of 256 tokens; by sequences up to so many; by tokens of a chunk, up to the next larger.
  static constexpr std::size_t kDepths = 16;
  static constexpr std::size_t kCrowds = 16;
  static constexpr std::size_t kRows = kRowsMax;
  static constexpr std::array<std::int32_t, 4> kChunks = {1, 4, 16, 64};
  using ByDepth = std::array<Median, kDepths>;

  static const Median* nearest(const ByDepth& costs, std::int32_t depth);
  std::optional<double> expected_us(std::size_t chunk, std::int32_t depth) const;
  void measured_beside(const StepShape& step, double added_us);

  std::array<Median, kCrowds> decode_;
  std::array<Median, kRows + 1> rows_;          // by rows; with one stream or many
  std::int32_t since_decode_ = 0;               // steps since one only decoded, without drafts
  std::array<ByDepth, kChunks.size()> beside_;  // of a token, in steps that decode, too
  std::int32_t remembered_ = 0;                 // such steps since other sizes of chunks were forgotten
  ByDepth alone_;                               // of a token, in steps that do not decode
};

}  // namespace kvern::schedule
