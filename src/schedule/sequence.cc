#include "schedule/sequence.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "base/log.h"

namespace kvern::schedule {

namespace {

// Long prompts are stopped at this often, so that one that is edited in the middle, or compacted,
// does not start over.
constexpr std::int32_t kSparseStopTokens = 8192;
// Tokens of one step that were not drawn: they are computed in one batch, beside which others wait.
constexpr std::int32_t kKnownTokens = 128;

}  // namespace

Sequence::Sequence(Start start, const Vocab& vocab, std::int32_t context, bool guesses)
    : priority(start.request.priority),
      start_(std::move(start)),
      vocab_(vocab),
      constrained_(start_.grammar.valid()),
      tokens_end_(context),
      tokens_(std::move(start_.request.prompt.tokens)),
      sampler_(start_.request.sampling, start_.seed),
      text_(start_.request.stops),
      reasoning_(start_.request.reasoning) {
  usage.prompt_tokens = size();
  usage.pending_tokens = size();
  if (const auto limit = start_.request.tokens_max) {
    tokens_end_ = static_cast<std::int32_t>(std::min<std::int64_t>(context, std::int64_t{size()} + *limit));
  }
  tokens_.reserve(static_cast<std::size_t>(std::min(tokens_end_, size() + 4096)));
  for (const TokenId token : tokens_) sampler_.remember(token, /*generated=*/false);
  for (const std::int32_t boundary : start_.request.prompt.boundaries) add_stop(boundary);
  // A raw prompt has no boundary, and is asked again as it is.
  if (start_.request.prompt.boundaries.empty()) add_stop(size() - 1);
  for (std::int32_t at = kSparseStopTokens; at < size(); at += kSparseStopTokens) add_stop(at);
  if (!guesses) return;
  lookup_.emplace(tokens_.capacity());
  lookup_->add(tokens_);
}

Status Sequence::take_grammar() {
  if (!awaits_grammar() || start_.grammar.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return {};
  try {
    TRY(matcher_, start_.grammar.get());
    return {};
  } catch (const std::exception& e) {
    return fail(Code::failed, fmt::format("the grammar was not compiled: {}", e.what()));
  }
}

// Draw first, ask about that one token, and build the mask only when it is refused.
Result<TokenId> Sequence::draw(std::span<const float> logits) {
  TokenId token = sampler_.draw(logits, {});
  if (matcher_ && token >= 0 && !matcher_->allows(token)) {
    TRY(const auto mask, matcher_->mask());
    token = sampler_.draw(logits, mask);
    if (token < 0) return fail(Code::invalid, "the grammar allows no token of this model's vocabulary here");
  }
  if (token < 0) return fail(Code::failed, "the model gave no usable logits");
  if (matcher_) TRY_OK(matcher_->accept(token));
  asked_forced_ = false;
  return token;
}

// Control tokens are structure, not text, unless the dialect reads them.
std::string_view Sequence::visible(TokenId token) const {
  if (!vocab_.is_control(token)) return vocab_.piece(token);
  const auto& markers = start_.request.markers;
  const bool shown = std::find(markers.begin(), markers.end(), token) != markers.end();
  return shown ? vocab_.piece(token) : std::string_view();
}

Progress Sequence::advance(std::span<const std::span<const float>> rows) {
  const std::int32_t before = size();
  std::int32_t given = 0;
  accepted_ = 0;
  Progress progress;
  while (!progress.ended) {
    // While all that came was guessed, the logits behind it are there. They must be used: nothing is pending then.
    const bool seen = given == accepted_ && static_cast<std::size_t>(accepted_) < rows.size();
    if (!seen && (sampler_.wants_logprobs() || given > kKnownTokens || parked())) break;
    const std::span<const float> logits = seen ? rows[static_cast<std::size_t>(accepted_)] : std::span<const float>();
    std::optional<TokenId> token = known_token();
    if (token && given > 0) ++usage.forced_tokens;
    if (!token && !seen) break;
    if (!token) {
      auto drawn = draw(logits);
      if (!drawn) return broken(std::move(drawn).error());
      token = *drawn;
    }
    if (seen && static_cast<std::size_t>(accepted_) < draft_.size() &&
        draft_[static_cast<std::size_t>(accepted_)] == *token)
      ++accepted_;
    ++given;
    progress = take(*token, logits);
  }
  gained_ = size() - before;
  judge_draft();
  return progress;
}

void Sequence::judge_draft() {
  if (draft_.empty()) return;
  const auto drafted = static_cast<std::int32_t>(draft_.size());
  draft_length.judged(matched_, std::max(drafted, planned_), accepted_);
  usage.drafted_tokens += drafted;
  usage.accepted_tokens += accepted_;
  draft_.clear();
}

Sequence::Guess Sequence::guess(std::int32_t tokens_max) {
  draft_.clear();
  planned_ = 0;
  if (!lookup_) return {};
  lookup_->add(tokens_);
  const PromptLookup::Guess found = lookup_->find(tokens_);
  if (found.matched == 0) return {};
  const std::int32_t most = draft_room(tokens_max);
  for (std::size_t i = 0; std::cmp_less(draft_.size(), most); ++i) {
    const std::size_t at = found.from + i;
    const TokenId token = at < tokens_.size() ? tokens_[at] : draft_[at - tokens_.size()];
    if (vocab_.ends_generation(token)) break;
    draft_.push_back(token);
  }
  if (matcher_) draft_.resize(matcher_->allowed_of(draft_));
  matched_ = found.matched;
  return {static_cast<std::int32_t>(draft_.size()), found.matched};
}

Sequence::Guess Sequence::take_guess(std::span<const TokenId> guessed, std::int32_t planned) {
  const auto most = static_cast<std::size_t>(draft_room(static_cast<std::int32_t>(guessed.size())));
  draft_.assign(guessed.begin(), guessed.begin() + static_cast<std::ptrdiff_t>(most));
  if (matcher_) draft_.resize(matcher_->allowed_of(draft_));
  matched_ = DraftLength::kByModel;
  planned_ = planned;
  if (draft_.empty()) draft_length.judged(matched_, planned, 0);
  return {static_cast<std::int32_t>(draft_.size()), matched_};
}

// Each takes a place of the client's, and the token drawn behind them does.
std::int32_t Sequence::draft_room(std::int32_t tokens_max) const {
  const auto places = static_cast<std::int32_t>(std::min<std::size_t>(start_.stream->room(), 1024)) - 1;
  return std::max(std::min({tokens_max, places, tokens_end_ - size() - 1}), 0);
}

bool Sequence::accepts(TokenId token) { return !matcher_ || (matcher_->allows(token) && matcher_->accept(token)); }

// The next token of the text that closes the reasoning block, if one is due.
std::optional<TokenId> Sequence::closing_token() {
  const std::optional<TokenId> token = reasoning_.due();
  if (!token) return std::nullopt;
  if (!accepts(*token)) {
    log::warn("reasoning not closed", {{"id", start_.request.id}, {"why", "the grammar does not allow it"}});
    reasoning_.give_up();
    return std::nullopt;
  }
  reasoning_.put();
  return token;
}

// What a run leaves, because the client has no room, say, is kept: if it were drawn, how fast a client
// reads would decide which random numbers its later tokens get.
std::optional<TokenId> Sequence::known_token() {
  if (const auto token = closing_token()) {
    forced_.clear();
    asked_forced_ = false;
    return token;
  }
  if (!matcher_) return std::nullopt;
  if (!std::exchange(asked_forced_, true)) {
    forced_ = matcher_->forced();
    std::reverse(forced_.begin(), forced_.end());
  }
  if (forced_.empty()) return std::nullopt;
  const TokenId token = forced_.back();
  forced_.pop_back();
  if (accepts(token)) return token;
  forced_.clear();
  return std::nullopt;
}

// The turn gains a token that was accepted. logits: of its position, unless it came without a step.
Progress Sequence::take(TokenId token, std::span<const float> logits) {
  ++usage.completion_tokens;
  if (vocab_.ends_generation(token)) return {true, {FinishReason::stop, {}, {}, {}}};
  tokens_.push_back(token);
  sampler_.remember(token, /*generated=*/true);
  const std::string_view shown = visible(token);
  reasoning_.saw(shown);

  Step step;
  step.token = token;
  if (sampler_.wants_logprobs()) step.logprobs = sampler_.logprobs(logits, token);
  auto stop = text_.feed(shown, step.text);
  start_.stream->offer(std::move(step));
  if (stop) return {true, {FinishReason::stop, std::move(*stop), {}, {}}};
  if (matcher_ && matcher_->finished()) return {true, {FinishReason::stop, {}, {}, {}}};
  if (size() >= tokens_end_) return {true, {FinishReason::length, {}, {}, {}}};
  return {};
}

// Text a client has cannot be taken back: where the grammar cannot go on, such a turn was cut short.
Progress Sequence::broken(Error error) const {
  const bool cut = started() && error.code == Code::invalid;
  if (!cut) return {true, {FinishReason::failed, {}, std::move(error), {}}};
  log::warn("turn cut", {{"id", start_.request.id}, {"why", error.message}});
  return {true, {FinishReason::length, {}, {}, {}}};
}

void Sequence::add_stop(std::int32_t position) {
  if (position <= 0 || position > usage.prompt_tokens) return;
  const auto at = std::lower_bound(stops_.begin(), stops_.end(), position);
  if (at == stops_.end() || *at != position) stops_.insert(at, position);
}

std::int32_t Sequence::next_stop() const {
  const auto next = std::upper_bound(stops_.begin(), stops_.end(), computed);
  return next == stops_.end() ? size() : *next;
}

bool Sequence::at_stop() const { return std::binary_search(stops_.begin(), stops_.end(), computed); }

void Sequence::flush() {
  Step last;
  last.token = -1;
  text_.finish(last.text);
  if (!last.text.empty()) start_.stream->offer(std::move(last));
}

}  // namespace kvern::schedule
