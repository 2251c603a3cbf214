// What a step costs here, learned from the steps there were: how long streams decode undisturbed, and
// what a prompt token adds to that.
//
// Every figure is the median of its last few measurements, so that one step during which the machine did
// something else changes nothing. Prompt tokens are measured apart by depth, because attention grows with
// it, and apart by company: a few tokens beside a stream cost more each than a full batch of them. Where they
// cost far more, as on CPUs whose attention takes many rows at once or one after the other, a step that gives a
// prompt little gains nothing for the stream and loses much for the prompt: there chunk_min() is larger.
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

  // What one more prompt token at that depth adds to a step that decodes. Unset: not measured at all.
  std::optional<double> token_us(std::int32_t depth) const;

  // The fewest tokens worth a place beside streams at that depth. They cost at most kWorthwhile times what
  // each costs in a full batch, or there is nothing better.
  std::int32_t chunk_min(std::int32_t depth) const;
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
  // By doublings of 256 tokens; by sequences up to so many.
  static constexpr std::size_t kDepths = 16;
  static constexpr std::size_t kCrowds = 16;
  static constexpr std::size_t kRows = kRowsMax;
  using ByDepth = std::array<Median, kDepths>;

  static std::optional<double> nearest(const ByDepth& costs, std::int32_t depth);
  void grow_chunks(const StepShape& step);

  std::array<Median, kCrowds> decode_;
  std::array<Median, kRows + 1> rows_;             // by rows; with one stream or many
  std::int32_t since_decode_ = 0;                  // steps since one only decoded, without drafts
  ByDepth beside_;                                 // measured in steps that decode, too
  ByDepth alone_;                                  // in those that do not
  std::array<std::int32_t, kDepths> chunk_min_{};  // 0: as where it is shallower
};

}  // namespace kvern::schedule
