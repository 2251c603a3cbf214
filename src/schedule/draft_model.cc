#include "schedule/draft_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/json_text.h"
#include "base/log.h"

namespace kvern::schedule {
namespace {

constexpr std::int32_t kSizesApart = 128;  // models of a family pad their vocabularies differently
// A place another stream uses is copied from when it has so many tokens more than a free one.
constexpr std::size_t kWorthCopying = 64;
constexpr double kLearning = 0.1;
constexpr int kPause = 256;

std::size_t common_tokens(std::span<const TokenId> a, std::span<const TokenId> b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(end - a.begin());
}

void learn(double& value, double now) { value = value == 0 ? now : value + kLearning * (now - value); }

// One step of a few tokens says nothing of what each of many takes.
constexpr std::size_t kMany = 16;

std::string in_quotes(std::string_view piece) {
  std::string text = "\"";
  append_json_escaped(text, piece);
  return text + '"';
}

Status check_vocab(const Vocab& draft, const Vocab& target) {
  if (std::abs(draft.size() - target.size()) > kSizesApart)
    return fail(Code::invalid,
                fmt::format("the draft model has {} tokens and the model {}: it must be of the same family",
                            draft.size(), target.size()),
                "--draft");
  for (TokenId token = 0; token < std::min(draft.size(), target.size()); ++token) {
    if (draft.piece(token) == target.piece(token)) continue;
    return fail(Code::invalid,
                fmt::format("token {} is {} to the draft model and {} to the model: it must be of the same family",
                            token, in_quotes(draft.piece(token)), in_quotes(target.piece(token))),
                "--draft");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<DraftModel>> DraftModel::create(std::unique_ptr<engine::Engine> engine, const Vocab& target,
                                                       const Clock& clock) {
  if (engine->info().state != engine::StateKind::attention)
    return fail(Code::invalid, "the draft model cannot forget a token it guessed wrongly: one with full attention can",
                "--draft");
  TRY_OK(check_vocab(engine->vocab(), target));
  return std::unique_ptr<DraftModel>(new DraftModel(std::move(engine), target, clock));
}

DraftModel::DraftModel(std::unique_ptr<engine::Engine> engine, const Vocab& target, const Clock& clock)
    : engine_(std::move(engine)),
      target_(target),
      clock_(clock),
      places_(static_cast<std::size_t>(engine_->info().sequences)) {
  batch_.reserve(static_cast<std::size_t>(engine_->info().batch));
}

void DraftModel::guess(std::span<Wanted* const> wanted, std::int32_t catch_up_max) {
  for (Wanted* each : wanted) each->guessed.clear();
  if (broken_ || wanted.empty()) return;
  ++calls_;
  catch_up(wanted, std::min(catch_up_max, engine_->info().batch));
  while (!batch_.empty() && decode()) go_on();
}

// Whose rest does not fit gets a part of it, and no guess this time.
void DraftModel::catch_up(std::span<Wanted* const> wanted, std::int32_t tokens_max) {
  works_.clear();
  batch_.clear();
  auto left = static_cast<std::size_t>(std::max(tokens_max, 1));
  for (Wanted* request : wanted) {
    const Wanted& each = *request;
    if (each.tokens.empty() || left == 0 || std::cmp_greater_equal(each.tokens.size(), engine_->info().context))
      continue;
    Work work{request, find_place(each)};
    Place& place = places_[work.place];
    const std::size_t known = std::min(common_tokens(place.tokens, each.tokens), each.tokens.size() - 1);
    if (!keep(work.place, known)) continue;
    const std::size_t rest = std::min(each.tokens.size() - known, left);
    if (!knows_all(each.tokens.subspan(known, rest))) continue;
    left -= rest;
    append(work, each.tokens.subspan(known, rest), known + rest == each.tokens.size() && each.tokens_max > 0);
    works_.push_back(work);
  }
}

// A larger model of the family may have a few tokens more.
bool DraftModel::knows_all(std::span<const TokenId> tokens) const {
  return std::all_of(tokens.begin(), tokens.end(), [this](TokenId token) { return token < engine_->vocab().size(); });
}

void DraftModel::append(Work& work, std::span<const TokenId> tokens, bool wants_logits) {
  Place& place = places_[work.place];
  work.before = place.tokens.size();
  auto position = static_cast<engine::Position>(place.tokens.size());
  for (const TokenId token : tokens)
    batch_.push_back({token, static_cast<engine::SequenceId>(work.place), position++, false});
  batch_.back().wants_logits = wants_logits;
  work.row = batch_.size() - 1;
  work.live = wants_logits;
  place.tokens.insert(place.tokens.end(), tokens.begin(), tokens.end());
}

// The likeliest token of everyone who has logits becomes the next step's, unless it is in doubt.
void DraftModel::go_on() {
  batch_.clear();
  for (Work& work : works_) {
    if (!std::exchange(work.live, false)) continue;
    const Guess next = likeliest(engine_->logits(work.row));
    if (next.chance < kSure || next.token >= target_.size() || target_.ends_generation(next.token)) continue;
    Wanted& wanted = *work.wanted;
    wanted.guessed.push_back(next.token);
    const bool room = std::cmp_less(places_[work.place].tokens.size() + 1, engine_->info().context);
    if (std::cmp_less(wanted.guessed.size(), wanted.tokens_max) && room)
      append(work, std::span(&wanted.guessed.back(), 1), true);
  }
}

bool DraftModel::decode() {
  const bool guesses =
      batch_.size() == static_cast<std::size_t>(
                           std::count_if(batch_.begin(), batch_.end(), [](const auto& t) { return t.wants_logits; }));
  const std::int64_t begin_us = clock_.now_us();
  auto decoded = engine_->decode(batch_);
  while (decoded && *decoded == engine::Decoded::no_room && make_room()) decoded = engine_->decode(batch_);
  const auto took_us = static_cast<double>(clock_.now_us() - begin_us);
  if (decoded && *decoded == engine::Decoded::ok) {
    for (const Work& work : works_) places_[work.place].computed = places_[work.place].tokens.size();
    if (guesses) {
      learn(guess_us_[std::min(batch_.size(), kStreams - 1)], took_us);
    } else if (batch_.size() >= kMany) {
      learn(catch_up_us_, took_us / static_cast<double>(batch_.size()));
    }
    return true;
  }
  take_back();
  if (!decoded) {
    log::error("the draft model failed, and is not asked any more", {{"why", decoded.error().message}});
    broken_ = true;
  }
  pause_ = kPause;
  return false;
}

// The batch was not computed, or who knows how much of it.
void DraftModel::take_back() {
  for (std::size_t i = 0; i < works_.size(); ++i) {
    Place& place = places_[works_[i].place];
    if (place.tokens.size() == works_[i].before) continue;
    place.tokens.resize(works_[i].before);
    place.computed = std::min(place.computed, works_[i].before);
    engine_->truncate(static_cast<engine::SequenceId>(works_[i].place),
                      static_cast<engine::Position>(works_[i].before));
  }
}

// The place nobody wanted for longest is given up; false when all are wanted.
bool DraftModel::make_room() {
  std::size_t oldest = places_.size();
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const bool idle = places_[i].used < calls_ && !places_[i].tokens.empty();
    if (idle && (oldest == places_.size() || places_[i].used < places_[oldest].used)) oldest = i;
  }
  if (oldest == places_.size()) return false;
  engine_->drop(static_cast<engine::SequenceId>(oldest));
  places_[oldest] = {};
  return true;
}

// Its own, else the one of a stream no longer asked for that begins most like it, else the oldest; with the rows of
// whoever has more of them.
std::size_t DraftModel::find_place(const Wanted& wanted) {
  std::size_t found = oldest_place();
  std::size_t best = 0;
  std::size_t source = found;
  std::size_t most = 0;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].stream == wanted.stream) {
      places_[i].used = calls_;
      return i;
    }
    const std::size_t common = std::min(common_tokens(places_[i].tokens, wanted.tokens), places_[i].computed);
    if (common > most) source = i;
    most = std::max(most, common);
    // What another conversation has beyond the common part would be lost.
    const bool mostly = common * 2 > places_[i].tokens.size();
    if (places_[i].used + 1 < calls_ && mostly && common > best) found = i;
    if (found == i) best = common;
  }
  Place& place = places_[found];
  if (most >= best + kWorthCopying) {
    engine_->drop(static_cast<engine::SequenceId>(found));
    place = {};
    if (engine_->fork(static_cast<engine::SequenceId>(source), static_cast<engine::SequenceId>(found),
                      static_cast<engine::Position>(most)))
      place.tokens.assign(wanted.tokens.begin(), wanted.tokens.begin() + static_cast<std::ptrdiff_t>(most));
    place.computed = place.tokens.size();
  }
  place.stream = wanted.stream;
  place.used = calls_;
  return found;
}

std::size_t DraftModel::oldest_place() const {
  const auto oldest =
      std::min_element(places_.begin(), places_.end(), [](const Place& a, const Place& b) { return a.used < b.used; });
  return static_cast<std::size_t>(oldest - places_.begin());
}

// The place's first tokens; false when the rest cannot be forgotten, and then it holds nothing.
bool DraftModel::keep(std::size_t place, std::size_t tokens) {
  if (tokens == places_[place].tokens.size()) return true;
  const auto sequence = static_cast<engine::SequenceId>(place);
  if (engine_->truncate(sequence, static_cast<engine::Position>(tokens))) {
    places_[place].tokens.resize(tokens);
    places_[place].computed = tokens;
    return true;
  }
  engine_->drop(sequence);
  places_[place] = {};
  return false;
}

const DraftModel::Place* DraftModel::place_of(std::uint64_t stream) const {
  const auto found =
      std::find_if(places_.begin(), places_.end(), [&](const Place& place) { return place.stream == stream; });
  return found == places_.end() ? nullptr : &*found;
}

std::int32_t DraftModel::behind(std::uint64_t stream, std::span<const TokenId> tokens) const {
  const Place* place = place_of(stream);
  const std::size_t known = place == nullptr ? 0 : common_tokens(place->tokens, tokens);
  return static_cast<std::int32_t>(std::max(tokens.size(), known + 1) - known - 1);
}

bool DraftModel::can_guess(std::size_t tokens) {
  if (pause_ > 0) {
    --pause_;
    return false;
  }
  return !broken_ && std::cmp_less(tokens + 1, engine_->info().context);
}

double DraftModel::guess_us(std::size_t streams) const {
  const std::size_t at = std::min(streams, kStreams - 1);
  for (std::size_t away = 0; away < kStreams; ++away) {
    if (at >= away && guess_us_[at - away] > 0) return guess_us_[at - away];
    if (at + away < kStreams && guess_us_[at + away] > 0) return guess_us_[at + away];
  }
  return 0;
}

// Its chance is over all tokens; those far below add nothing that counts.
DraftModel::Guess DraftModel::likeliest(std::span<const float> logits) const {
  static constexpr float kNothing = 12;
  if (logits.empty()) return {};
  const auto best = std::max_element(logits.begin(), logits.end());
  float sum = 0;
  for (const float logit : logits) {
    if (logit > *best - kNothing) sum += std::exp(logit - *best);
  }
  return {static_cast<TokenId>(best - logits.begin()), sum > 0 ? 1 / sum : 0};
}

}  // namespace kvern::schedule
