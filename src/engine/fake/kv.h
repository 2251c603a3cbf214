// The fake engine's KV: rows that are a hash chain of the tokens, in cells that sequences share.
//
// A row's hash covers its token and all before it, as a real row's values do. verify() recomputes
// the chain from the tokens, so rows computed for another prefix are found instead of used.
//
// Thread: engine. Callers check sequence ids and the context limit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace kvern::engine {

enum class Keeps {
  rows,             // attention
  rows_and_window,  // sliding window: rows of the full layers, and cells inside the window
  rows_and_state,   // hybrid: rows, and a running state
  state,            // recurrent: a running state only
};

class Kv {
 public:
  struct Shape {
    std::int32_t cells = 0;
    std::int32_t sequences = 0;
    Keeps keeps = Keeps::rows;
    Position window = 0;
  };
  static constexpr std::size_t kBytesPerRow = 16;

  explicit Kv(const Shape& shape);

  Position length(SequenceId sequence) const { return static_cast<Position>(at(sequence).cells.size()); }
  TokenId token(SequenceId sequence, Position position) const { return cell(sequence, position).token; }
  std::int32_t cells_free() const { return static_cast<std::int32_t>(free_.size()); }

  // Code::corrupt when a cell, the running state or the window of the sequence belongs to other
  // tokens. What was verified once is not verified again, except after load() and fork().
  Status verify(SequenceId sequence);

  // What a decode does: the cells outside the window vanish, then tokens are added.
  void begin_decode(SequenceId sequence);
  void append(SequenceId sequence, TokenId token);  // there must be a free cell

  // As in Engine. A sequence whose load_state() was missed is not refused here; verify() tells.
  Status fork(SequenceId from, SequenceId to, Position end);
  bool truncate(SequenceId sequence, Position end);
  void drop(SequenceId sequence);
  Result<Bytes> save(SequenceId sequence, Position begin, Position end) const;
  Status load(SequenceId sequence, Position begin, Position end, std::span<const std::byte> bytes);
  Result<Bytes> save_state(SequenceId sequence) const;
  Status load_state(SequenceId sequence, Position end, std::span<const std::byte> bytes);

 private:
  static constexpr std::uint64_t kSeed = 0x6b7665726e;  // the hash before position 0

  struct Cell {
    TokenId token = 0;
    Position position = 0;
    std::uint64_t hash = 0;
    std::int32_t owners = 0;
  };
  // The part that cannot be cut, at position `end`; a window begins at `low`.
  struct State {
    Position end = 0;
    Position low = 0;
    std::uint64_t hash = kSeed;
  };
  struct Sequence {
    std::vector<std::uint32_t> cells;  // by position
    Position verified = 0;
    State state;
  };

  const Sequence& at(SequenceId sequence) const { return sequences_[static_cast<std::size_t>(sequence)]; }
  Sequence& at(SequenceId sequence) { return sequences_[static_cast<std::size_t>(sequence)]; }
  const Cell& cell(SequenceId sequence, Position position) const;
  std::uint64_t hash_before(SequenceId sequence, Position position) const;
  Position window_begin(Position end) const { return end > shape_.window ? end - shape_.window : 0; }
  Status verify_state(SequenceId sequence) const;
  void take(Sequence& sequence, TokenId token, std::uint64_t hash);
  void release_from(Sequence& sequence, Position end);

  Shape shape_;
  std::vector<Cell> cells_;
  std::vector<std::uint32_t> free_;
  std::vector<Sequence> sequences_;
};

}  // namespace kvern::engine
