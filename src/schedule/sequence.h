// One request while it is in the scheduler: its tokens, its sampler, its text. Thread: engine.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache/prefix_cache.h"
#include "constrain/constraint.h"
#include "core/generator.h"
#include "schedule/draft_length.h"
#include "schedule/fair_share.h"
#include "schedule/prompt_lookup.h"
#include "schedule/reasoning_budget.h"
#include "schedule/sampler.h"
#include "schedule/text_assembler.h"

namespace kvern::schedule {

// How a step left the sequence.
struct Progress {
  bool ended = false;
  Ending ending;  // usage is filled in by the scheduler
};

// A grammar's state at its begin, or why there is none.
using Grammar = Result<std::unique_ptr<constrain::Matcher>>;

class Sequence {
 public:
  struct Start {
    GenerateRequest request;
    std::shared_ptr<Stream> stream;
    std::future<Grammar> grammar;  // not valid(): none. What is drawn first waits for it
    std::uint64_t arrival = 0;
    std::int64_t submitted_us = 0;
    std::uint64_t seed = 0;
  };
  // guesses: the model can forget a token, so tokens may be guessed.
  Sequence(Start start, const Vocab& vocab, std::int32_t context, bool guesses);

  // Prompt and generated tokens; the last generated one, and what was forced after it, is not computed
  // yet.
  std::span<const TokenId> tokens() const { return tokens_; }
  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::int32_t pending() const { return size() - computed; }
  std::span<const Segment> segments() const { return start_.request.prompt.segments; }
  const std::string& salt() const { return start_.request.cache_salt; }
  bool started() const { return usage.completion_tokens > 0; }
  // Only what the last step gave is pending.
  bool decoding() const { return started() && pending() <= gained_; }
  bool prefilling() const { return !decoding() && pending() > 1; }
  // It must not produce more: its client does not take what is there, or its grammar is still being
  // compiled and only the token before the first draw is left.
  bool parked() const { return start_.stream->full() || (awaits_grammar() && pending() <= 1); }
  // Tokens that may be computed now. With a grammar the last token before the first draw is computed on
  // its own, whether the grammar was ready by then or not: how a prompt is cut decides the last bits of
  // its logits, and they must not depend on how long a compiler took.
  std::int32_t computable() const {
    const bool apart = constrained_ && !started() && (awaits_grammar() || pending() > 1);
    return apart ? pending() - 1 : pending();
  }

  bool awaits_grammar() const { return start_.grammar.valid(); }
  // Takes the grammar when it is there; an error is why there is none.
  Status take_grammar();

  // Draws the next token from logits, gives its text to the stream, and says whether the turn ends.
  // Tokens that are known, because the grammar forces them or they close a reasoning block, are not
  // drawn, and follow at once as far as the client has room. With log probabilities they come one by
  // one, each with its own logits.
  // rows: the logits behind tokens(), then behind each token of draft(). Every token is drawn as if there
  // were no draft, from the same random numbers: a draft changes how many come of a step, not which.
  Progress advance(std::span<const std::span<const float>> rows);

  // Tokens guessed to follow, for the next step to look at; at most so many, none where nothing is guessed, the
  // grammar allows none of them, or the client has no room. cut_draft() then says how many are looked at.
  struct Guess {
    std::int32_t tokens = 0;
    std::int32_t matched = 0;  // see PromptLookup; DraftLength::kByModel where take_guess() took it
  };
  Guess guess(std::int32_t tokens_max);
  // The same of a draft model's guess. planned: what it was asked for, and what less counts as wrong.
  Guess take_guess(std::span<const TokenId> guessed, std::int32_t planned);
  // Of so many guessed tokens, those that may be looked at.
  std::int32_t draft_room(std::int32_t tokens_max) const;
  void cut_draft(std::int32_t tokens) { draft_.resize(static_cast<std::size_t>(tokens)); }
  std::span<const TokenId> draft() const { return draft_; }
  // So many of the last draft became tokens of the turn: their cells hold what they should.
  std::int32_t accepted() const { return accepted_; }
  DraftLength draft_length;

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
  std::int32_t computed = 0;             // tokens in the lease's cells
  FairShare::Account* client = nullptr;  // from the inbox to the end
  std::int32_t passed = 0;               // so often in a row others went first: for a place, then for a step
  Priority priority;                     // its own, or that of one who waits for it
  bool aside = false;                    // running, but another has its place: it is not computed
  std::int32_t displaced = 0;            // so often
  std::int32_t preempted = 0;
  std::int32_t work = 0;        // while waiting: tokens that no tier holds, about
  std::uint64_t work_from = 0;  // the scheduler's changes when that was found, +1
  Usage usage;
  std::int64_t first_token_us = 0;
  std::int64_t prefill_begin_us = 0;

 private:
  Result<TokenId> draw(std::span<const float> logits);
  std::optional<TokenId> closing_token();
  std::optional<TokenId> known_token();
  bool accepts(TokenId token);
  void judge_draft();
  Progress take(TokenId token, std::span<const float> logits);
  Progress broken(Error error) const;
  std::string_view visible(TokenId token) const;

  Start start_;
  const Vocab& vocab_;
  const bool constrained_;
  std::int32_t tokens_end_;  // tokens_.size() at which the turn is cut
  std::int32_t gained_ = 0;  // tokens the last step gave
  std::vector<TokenId> tokens_;
  std::vector<std::int32_t> stops_;  // ascending
  Sampler sampler_;
  TextAssembler text_;
  ReasoningBudget reasoning_;
  std::unique_ptr<constrain::Matcher> matcher_;
  std::vector<TokenId> forced_;  // what the grammar forces next, last first
  bool asked_forced_ = false;    // nothing was drawn or put in since
  std::optional<PromptLookup> lookup_;
  std::vector<TokenId> draft_;
  std::int32_t matched_ = 0;  // how well the draft's place agreed
  std::int32_t planned_ = 0;  // tokens the draft should have had
  std::int32_t accepted_ = 0;
};

}  // namespace kvern::schedule
