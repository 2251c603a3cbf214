// The turn-level seam: a prompt goes in, steps come out.
//
// The local scheduler implements it over an Engine; a remote engine can implement it by handing
// whole turns away. So nothing above it asks for logits, cells or blocks.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/event.h"
#include "core/prompt.h"
#include "core/sampling.h"
#include "core/usage.h"

namespace kvern {

// Ends a reasoning block that grows too long: the tokens of `close` are put in as if the model had
// drawn them, and it goes on from there. A character begun by then ends first (three tokens at most);
// where the grammar refuses the close, the block goes on. Only the turn's first block is limited.
struct ReasoningLimit {
  std::int32_t tokens_max = -1;  // within the block, its markers aside; -1: none, the rest is unused
  bool open = false;             // the prompt opened the block
  std::string begin;             // opens a block at the turn's start, whitespace before it aside
  std::string end;               // closes it
  std::vector<TokenId> close;    // holds what `end` says, and the whitespace that belongs behind it
};

// Who waits for the answer, most urgent first.
enum class Priority {
  interactive,  // a person
  sub_agent,    // an agent whose parent goes on meanwhile
  background,   // nobody in particular: a title, a topic
};

struct GenerateRequest {
  std::string id;  // for the log line
  Prompt prompt;   // not empty
  ConstraintSpec constraint;
  SamplingParams sampling;
  std::optional<std::int32_t> tokens_max;
  std::vector<std::string> stops;  // text that ends the turn and is not part of it
  ReasoningLimit reasoning;
  std::vector<TokenId> markers;  // control tokens whose names belong in the text (a dialect's markers)
  std::string session;           // the conversation, "SESSION/AGENT" for a sub-agent's; empty: not known
  Priority priority = Priority::interactive;
  std::string cache_salt;  // requests share what was computed only with those of equal salt
  bool progress = false;   // steps that tell how far the prompt is
};

// How far a prompt is: of total tokens so many are in the cells, `reused` of them because they were held.
struct PromptProgress {
  std::int32_t total = 0;
  std::int32_t reused = 0;
  std::int32_t processed = 0;  // reused ones included
  std::int64_t time_us = 0;    // since the prompt began to be computed
};

// One generated token, drawn or known without a draw. text holds whole UTF-8 sequences and may be empty
// (a control token, or bytes held back because they may still become a character or a stop string).
// A step with progress has neither token (-1) nor text; a consumer that is slow misses some.
struct Step {
  TokenId token = 0;
  std::string text;
  std::optional<StepLogprobs> logprobs;
  std::optional<PromptProgress> progress = std::nullopt;
};

// A constraint that cannot go on (its step budget is used up) ends the turn: as `length` when a token
// was given, which says "cut short" and keeps the text; as `failed` before the first.
struct Ending {
  FinishReason reason = FinishReason::stop;
  std::string stop;  // the stop string that ended it, if one did
  Error error;       // with FinishReason::failed
  Usage usage;
};

// The bounded channel of one turn. The producer (engine thread) offers steps and must stop when
// full() says so: the sequence parks until the consumer has taken some. The consumer (net or any
// other thread) takes what is there.
class Stream {
 public:
  explicit Stream(std::size_t capacity) : capacity_(capacity) {}

  // Producer side. At most one Ending, after the last step.
  void offer(Step step);
  void end(Ending ending);
  bool full() const { return room() == 0; }
  std::size_t room() const;  // steps until it is full
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // Consumer side. Moves what is there into steps; returns the Ending once everything before it
  // was taken.
  std::optional<Ending> take(std::vector<Step>& steps);
  // The consumer no longer wants anything. Costs the producer at most one prefill chunk.
  void cancel();
  // Waits until take() would give something.
  void wait() const;

  // Called (by the producer's thread, outside the lock) when a step or the ending arrives in an
  // empty stream. Set before submit.
  std::function<void()> on_ready;

  // room: called by the consumer's thread when a full stream has room again, and on cancel. Set by the Generator in
  // submit; the consumer may have cancelled by then.
  void on_room(std::function<void()> room);

 private:
  void call_on_room();

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<Step> steps_;
  std::optional<Ending> ending_;
  std::function<void()> on_room_;
  std::atomic<bool> cancelled_{false};
};

class Generator {
 public:
  virtual ~Generator() = default;

  // Code::too_long when a prompt of so many tokens leaves no room for another one. submit() asks the same; who
  // has costly work to do before it, a constraint's, asks first. Thread: any.
  virtual Status check_length(std::size_t prompt_tokens) const = 0;

  // Thread: any. Code::busy when too many requests wait, Code::too_long when the prompt leaves no
  // room for a token; the stream is then never used. Otherwise it ends exactly once, whatever happens;
  // a constraint that does not compile ends it as `failed`. Returns when the constraint is compiled.
  virtual Status submit(GenerateRequest request, std::shared_ptr<Stream> stream) = 0;
};

}  // namespace kvern
