// One request while it is in the scheduler: its tokens, its sampler, its text. Thread: engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache/prefix_cache.h"
#include "constrain/constraint.h"
#include "core/generator.h"
#include "schedule/sampler.h"
#include "schedule/text_assembler.h"

namespace kvern::schedule {

// How a step left the sequence.
struct Progress {
  bool ended = false;
  Ending ending;  // usage is filled in by the scheduler
};

class Sequence {
 public:
  struct Start {
    GenerateRequest request;
    std::shared_ptr<Stream> stream;
    std::shared_ptr<const constrain::Compiled> constraint;  // may be null
    std::uint64_t arrival = 0;
    std::int64_t submitted_us = 0;
    std::uint64_t seed = 0;
  };
  Sequence(Start start, const Vocab& vocab, std::int32_t context);

  // Prompt and generated tokens; the last generated one is not computed yet.
  std::span<const TokenId> tokens() const { return tokens_; }
  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::int32_t pending() const { return size() - computed; }
  std::span<const Segment> segments() const { return start_.request.prompt.segments; }
  const std::string& salt() const { return start_.request.cache_salt; }
  bool started() const { return usage.completion_tokens > 0; }
  bool decoding() const { return started() && pending() == 1; }
  // Its client does not take what is there: it must not produce more.
  bool parked() const { return start_.stream->full(); }

  // Draws the next token from logits, gives its text to the stream, and says whether the turn ends.
  Progress advance(std::span<const float> logits);

  // Where the state must be saved while it is there, for models that cannot be cut: positions beyond
  // what is computed, at most the prompt's size. computing up to next_stop() is one step at most.
  void add_stop(std::int32_t position);
  std::int32_t next_stop() const;
  bool at_stop() const;

  // Text still held back goes out; called once before the stream ends.
  void flush();

  Stream& stream() { return *start_.stream; }
  const Stream& stream() const { return *start_.stream; }
  const GenerateRequest& request() const { return start_.request; }
  std::uint64_t arrival() const { return start_.arrival; }
  std::int64_t submitted_us() const { return start_.submitted_us; }

  std::optional<cache::Lease> lease;  // while running
  bool restoring = false;             // the lease is still being loaded
  cache::PrefixCache::Reused reused;  // while restoring: what is expected; then what was
  std::int32_t losses = 0;            // restores that came to nothing
  bool damaged = false;               // by records that were not as they were written
  // While waiting: for whom (by arrival), and until that one has computed so many tokens.
  std::uint64_t awaits_arrival = 0;
  std::int32_t awaits_tokens = 0;
  std::int32_t computed = 0;  // tokens in the lease's cells
  Usage usage;
  std::int64_t first_token_us = 0;

 private:
  Result<TokenId> draw(std::span<const float> logits);
  std::string_view visible(TokenId token) const;

  Start start_;
  const Vocab& vocab_;
  std::int32_t tokens_end_;  // tokens_.size() at which the turn is cut
  std::vector<TokenId> tokens_;
  std::vector<std::int32_t> stops_;  // ascending
  Sampler sampler_;
  TextAssembler text_;
  std::unique_ptr<constrain::Matcher> matcher_;
};

}  // namespace kvern::schedule
