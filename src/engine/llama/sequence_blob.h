// What libllama's bytes of one sequence look like, so that rows and state can be told apart, and bytes
// that are not ours are refused before libllama sees them.
//
// A blob is u32 magic, i32 sequence, then up to three parts: the rows of full-attention layers, the
// cells inside the sliding window, the running state. Its shape (layers, types, row sizes) is learned
// once from samples of the loaded model. Saved rows are the first part only, cells in order of their
// positions and without sequence ids, so that equal rows are equal bytes wherever their cells were.
//
// Thread: any; immutable after learn(). Includes no llama.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace kvern::engine {

class SequenceBlob {
 public:
  using View = std::span<const std::byte>;

  struct Parts {
    bool rows = true;
    bool window = false;
    bool running = false;
  };
  // What libllama gives for a sequence without cells ("partial" only) and for one that holds position 0.
  struct Samples {
    View empty_state;
    View whole;
    View state;
  };

  // Code::failed when the samples have another shape: a memory of libllama that we do not know.
  static Result<SequenceBlob> learn(const Parts& parts, const Samples& samples);

  // Bytes of saved rows that are added by one position.
  std::size_t row_bytes() const;
  // One line that names layers, types and sizes; equal for engines whose bytes fit each other.
  std::string describe() const;

  // The rows out of a whole blob, which must hold exactly [begin, end). A window or state behind them
  // is left out. Code::failed when it does not.
  Result<Bytes> rows_of(Bytes whole, Position begin, Position end) const;
  // Whether bytes are rows of this shape from `begin` to `end` or beyond. `tokens` bounds token ids.
  Status check_rows(View rows, Position begin, Position end, std::int32_t tokens) const;
  // Checked rows that are already what whole_of() gives.
  bool is_whole(View rows, Position count) const;
  // A whole blob that sets the first `count` of checked rows and no state.
  Bytes whole_of(View rows, Position count) const;

  // Whether bytes are a state of this shape at `end` (at least 1). A window must reach back `window`
  // positions, or to the begin of a chunk of that size.
  Status check_state(View state, Position end, Position window, std::int32_t tokens) const;

 private:
  struct Tensor {
    std::int32_t type = 0;
    std::uint64_t row_bytes = 0;
    bool operator==(const Tensor&) const = default;
  };
  // Rows or window: cells, then K of each layer, then V of each layer.
  struct KvPart {
    std::size_t cell_bytes = 12;
    std::vector<Tensor> keys;
    std::vector<Tensor> values;
    std::uint64_t row_bytes() const;  // of all layers
    std::size_t size(std::uint64_t cells) const;
  };
  struct RunningPart {
    std::vector<Tensor> tensors;
    std::uint32_t layers = 0;
    std::size_t size() const;  // with its one cell
  };
  class Reader;
  struct Guess {
    std::size_t cell_bytes;
    bool has_values;
  };

  static std::optional<SequenceBlob> parse(const Parts& parts, const Samples& samples, const Guess& guess);
  static bool learn_part(Reader& reader, const Guess& guess, KvPart& part);
  static bool learn_part(Reader& reader, RunningPart& part);
  static bool matches(Reader& reader, const KvPart& part, std::uint32_t cells);
  static bool matches(Reader& reader, const RunningPart& part, Position end);
  static std::vector<std::uint32_t> cell_order(View whole, const KvPart& part, std::uint32_t cells);
  static Bytes in_order(View rows, const KvPart& part, std::span<const std::uint32_t> order);

  std::optional<KvPart> rows_;
  std::optional<KvPart> window_;
  std::optional<RunningPart> running_;
  Bytes empty_state_;  // without its header
};

}  // namespace kvern::engine
