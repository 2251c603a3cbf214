#include "schedule/sequence.h"

#include <algorithm>
#include <utility>

namespace kvern::schedule {

namespace {

// Long prompts are stopped at this often, so that one that is edited in the middle, or compacted,
// does not start over.
constexpr std::int32_t kSparseStopTokens = 8192;

}  // namespace

Sequence::Sequence(Start start, const Vocab& vocab, std::int32_t context)
    : start_(std::move(start)),
      vocab_(vocab),
      tokens_end_(context),
      tokens_(std::move(start_.request.prompt.tokens)),
      sampler_(start_.request.sampling, start_.seed),
      text_(start_.request.stops) {
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
  if (start_.constraint) matcher_ = start_.constraint->start();
}

// Draw first, ask about that one token, and build the mask only when it is refused.
Result<TokenId> Sequence::draw(std::span<const float> logits) {
  TokenId token = sampler_.draw(logits, {});
  if (matcher_ && token >= 0 && !matcher_->allows(token)) {
    TRY(const auto mask, matcher_->mask());
    token = sampler_.draw(logits, mask);
    if (token < 0) return fail(Code::failed, "the grammar allows no token of this model's vocabulary here");
  }
  if (token < 0) return fail(Code::failed, "the model gave no usable logits");
  if (matcher_) TRY_OK(matcher_->accept(token));
  return token;
}

// Control tokens are structure, not text, unless the dialect reads them.
std::string_view Sequence::visible(TokenId token) const {
  if (!vocab_.is_control(token)) return vocab_.piece(token);
  const auto& markers = start_.request.markers;
  const bool shown = std::find(markers.begin(), markers.end(), token) != markers.end();
  return shown ? vocab_.piece(token) : std::string_view();
}

Progress Sequence::advance(std::span<const float> logits) {
  auto drawn = draw(logits);
  if (!drawn) return {true, {FinishReason::failed, {}, std::move(drawn).error(), {}}};
  const TokenId token = *drawn;
  ++usage.completion_tokens;
  if (vocab_.ends_generation(token)) return {true, {FinishReason::stop, {}, {}, {}}};
  tokens_.push_back(token);
  sampler_.remember(token, /*generated=*/true);

  Step step;
  step.token = token;
  if (sampler_.wants_logprobs()) step.logprobs = sampler_.logprobs(logits, token);
  auto stop = text_.feed(visible(token), step.text);
  start_.stream->offer(std::move(step));
  if (stop) return {true, {FinishReason::stop, std::move(*stop), {}, {}}};
  if (matcher_ && matcher_->finished()) return {true, {FinishReason::stop, {}, {}, {}}};
  if (size() >= tokens_end_) return {true, {FinishReason::length, {}, {}, {}}};
  return {};
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
