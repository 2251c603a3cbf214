// The step-level seam: the few things a scheduler and a cache need from an inference engine.
//
// A sequence is a small integer that owns KV cells for positions 0..n-1. Sequences may share cells
// (fork is metadata only). No exception and no type of the library underneath crosses this header.
// Thread: engine, for everything except info() and vocab(), which any thread may use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/vocab.h"

namespace kvern::engine {

using SequenceId = std::int32_t;
using Position = std::int32_t;
using Bytes = std::vector<std::byte>;

// What the model keeps per sequence, and so where a sequence may be cut. Besides a state that cannot
// be cut, both others may have rows (of full-attention layers) that can.
enum class StateKind {
  attention,       // KV rows only: fork, truncate, save and load at any position
  sliding_window,  // cells outside the window vanish: cuts far back need a snapshot
  recurrent,       // a running state: cuts need a snapshot
};

struct Info {
  std::string name;           // for people: "SmolLM2 135M Instruct"
  std::string architecture;   // "llama"
  std::string chat_template;  // Jinja source, empty when the model has none
  std::int32_t context = 0;   // positions one sequence may hold
  std::int32_t context_trained = 0;
  std::int32_t cells = 0;      // cells all sequences share
  std::int32_t sequences = 0;  // ids 0..sequences-1
  std::int32_t batch = 0;      // most tokens of one decode call
  StateKind state = StateKind::attention;
  std::int32_t efficient_batch = 512;  // in a step of more each token costs hardly less; at most `batch`
  bool takes_back = true;              // truncate() forgets what the last decode computed, but a sequence's first token
  bool rows_in_parallel = true;        // several rows of a step cost little more than one
  bool has_rows = true;                // false: a purely recurrent model; save() and load() move nothing
  std::size_t bytes_per_token = 0;     // of KV cells, about
  std::uint64_t parameters = 0;
  std::uint64_t model_bytes = 0;
  // Everything that changes KV bytes, one fact each: what a fingerprint of saved rows hashes.
  std::vector<std::string> fingerprint_parts;
};

struct BatchToken {
  TokenId token = 0;
  SequenceId sequence = 0;
  Position position = 0;  // must continue the sequence: its length so far, then +1 for each token
  bool wants_logits = false;
};

enum class Decoded {
  ok,
  no_room,  // the cells are used up; nothing changed. Preempt somebody, it is not an error.
  aborted,  // abort() was called; positions of this batch are undefined: truncate them
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual const Info& info() const = 0;
  virtual const Vocab& vocab() const = 0;

  virtual Result<Decoded> decode(std::span<const BatchToken> batch) = 0;

  // Logits over the vocabulary for batch index `row` of the last decode, which must have wanted
  // them. Valid until the next decode.
  virtual std::span<const float> logits(std::size_t row) = 0;

  // Makes `to` (empty before) share the rows of `from` in [0, end). With a state that cannot be cut,
  // `to` has none yet: load_state() must follow before it is decoded.
  virtual Status fork(SequenceId from, SequenceId to, Position end) = 0;
  // Forgets positions >= end. False when the state cannot go back; the sequence is then unchanged. A window goes back
  // as far as the cells before `end` are still there: see Info::takes_back.
  virtual bool truncate(SequenceId sequence, Position end) = 0;
  virtual void drop(SequenceId sequence) = 0;

  // KV rows of [begin, end) as bytes that load() accepts on any engine with an equal fingerprint: of
  // all layers with StateKind::attention, else of the full-attention layers only. Empty without rows.
  virtual Result<Bytes> save(SequenceId sequence, Position begin, Position end) = 0;
  // Appends the rows of [begin, end): the sequence must end at `begin`, and bytes hold rows from
  // `begin` to `end` or beyond; what is beyond is left out. Code::corrupt when the bytes do not fit;
  // Code::busy when there are no cells. The sequence is unchanged on failure. With a state that cannot
  // be cut load_state() must follow before it is decoded.
  virtual Status load(SequenceId sequence, Position begin, Position end, std::span<const std::byte> bytes) = 0;

  // The part of a sequence that cannot be cut (running state, cells inside the window) at its
  // current end. Only when StateKind is not attention.
  virtual Result<Bytes> save_state(SequenceId sequence) = 0;
  // Set last, after fork() and all load() calls, when the rows end where the state was saved; without
  // rows (has_rows false) on an empty sequence, which then ends at `end`. Code::corrupt when the bytes
  // are no state for `end`; the sequence must then be dropped.
  virtual Status load_state(SequenceId sequence, Position end, std::span<const std::byte> bytes) = 0;

  // Thread: any. Makes a running decode return Decoded::aborted soon; cleared by clear_abort().
  virtual void abort() = 0;
  virtual void clear_abort() = 0;
};

}  // namespace kvern::engine
