#include "schedule/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace kvern::schedule {
namespace {

// Calls visit with each token the mask allows, in order; an empty mask allows all. A grammar often allows a few
// of 150,000: those it does not are skipped 32 at a time.
template <typename Visit>
void for_each_allowed(std::span<const float> logits, std::span<const std::uint32_t> mask, const Visit& visit) {
  if (mask.empty()) {
    for (std::size_t token = 0; token < logits.size(); ++token) visit(token);
    return;
  }
  for (std::size_t word = 0; word < mask.size(); ++word) {
    for (std::uint32_t bits = mask[word]; bits != 0; bits &= bits - 1) {
      const std::size_t token = word * 32 + static_cast<std::size_t>(std::countr_zero(bits));
      if (token >= logits.size()) return;
      visit(token);
    }
  }
}

// Equal logits go to the lower id, so that a draw does not depend on the selection algorithm.
template <typename C>
bool before(const C& a, const C& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

}  // namespace

Sampler::Sampler(SamplingParams params, std::uint64_t seed)
    : params_(std::move(params)), random_(params_.seed.value_or(seed)) {}

void Sampler::remember(TokenId token, bool generated) {
  if (generated && (params_.presence_penalty != 0 || params_.frequency_penalty != 0)) ++generated_counts_[token];
  if (params_.repeat_penalty == 1.0F || params_.repeat_last_n <= 0) return;
  recent_.push_back(token);
  ++recent_counts_[token];
  if (recent_.size() <= static_cast<std::size_t>(params_.repeat_last_n)) return;
  const auto oldest = recent_counts_.find(recent_.front());
  if (--oldest->second == 0) recent_counts_.erase(oldest);
  recent_.pop_front();
}

bool Sampler::adjusts() const { return !params_.logit_bias.empty() || !generated_counts_.empty() || !recent_.empty(); }

std::span<const float> Sampler::adjusted(std::span<const float> logits) {
  if (!adjusts()) return logits;
  scratch_.assign(logits.begin(), logits.end());
  const auto in_range = [&](TokenId token) { return token >= 0 && static_cast<std::size_t>(token) < scratch_.size(); };
  for (const auto& [token, bias] : params_.logit_bias) {
    if (in_range(token)) scratch_[static_cast<std::size_t>(token)] += bias;
  }
  // Each token once, however often it occurs (as llama.cpp and the CTRL paper do).
  for (const auto& [token, count] : recent_counts_) {
    if (!in_range(token)) continue;
    float& logit = scratch_[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / params_.repeat_penalty : logit * params_.repeat_penalty;
  }
  for (const auto& [token, count] : generated_counts_) {
    if (in_range(token))
      scratch_[static_cast<std::size_t>(token)] -=
          params_.presence_penalty + params_.frequency_penalty * static_cast<float>(count);
  }
  return scratch_;
}

TokenId Sampler::greedy(std::span<const float> logits, std::span<const std::uint32_t> mask) const {
  TokenId best = -1;
  float best_logit = -std::numeric_limits<float>::infinity();
  for_each_allowed(logits, mask, [&](std::size_t i) {
    if (logits[i] > best_logit) {
      best = static_cast<TokenId>(i);
      best_logit = logits[i];
    }
  });
  return best;
}

void Sampler::collect(std::span<const float> logits, std::span<const std::uint32_t> mask) {
  candidates_.clear();
  const auto k = params_.top_k > 0 ? static_cast<std::size_t>(params_.top_k) : logits.size();
  if (k >= logits.size()) {
    for_each_allowed(logits, mask, [&](std::size_t i) {
      if (!std::isnan(logits[i])) candidates_.push_back({logits[i], static_cast<TokenId>(i)});
    });
    return;
  }
  // One pass: a buffer of 2k is cut back to its best k whenever it fills; what is below the k-th
  // best so far never enters.
  float threshold = -std::numeric_limits<float>::infinity();
  for_each_allowed(logits, mask, [&](std::size_t i) {
    if (!(logits[i] >= threshold)) return;  // NaN included
    candidates_.push_back({logits[i], static_cast<TokenId>(i)});
    if (candidates_.size() == 2 * k) {
      keep_top_k();
      threshold = candidates_.back().logit;
    }
  });
}

void Sampler::keep_top_k() {
  const auto k = params_.top_k > 0 ? static_cast<std::size_t>(params_.top_k) : candidates_.size();
  if (k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k) - 1, candidates_.end(),
                     before<Candidate>);
    candidates_.resize(k);
  }
}

// The smallest set of best tokens whose probability reaches top_p. Sorts only as many as needed.
void Sampler::keep_top_p() {
  if (params_.top_p >= 1.0F || candidates_.empty()) return;
  const float best = std::max_element(candidates_.begin(), candidates_.end(), [](const auto& a, const auto& b) {
                       return before(b, a);
                     })->logit;
  double total = 0;
  for (const Candidate& c : candidates_) total += std::exp(static_cast<double>(c.logit - best));
  const double wanted = total * static_cast<double>(params_.top_p);
  double sum = 0;
  std::size_t done = 0;
  for (std::size_t chunk = 64; done < candidates_.size(); chunk *= 4) {
    const std::size_t end = std::min(done + chunk, candidates_.size());
    std::partial_sort(candidates_.begin() + static_cast<std::ptrdiff_t>(done),
                      candidates_.begin() + static_cast<std::ptrdiff_t>(end), candidates_.end(), before<Candidate>);
    for (; done < end; ++done) {
      sum += std::exp(static_cast<double>(candidates_[done].logit - best));
      if (sum >= wanted) {
        candidates_.resize(done + 1);
        return;
      }
    }
  }
}

void Sampler::keep_min_p() {
  if (params_.min_p <= 0.0F || candidates_.empty()) return;
  float best = candidates_.front().logit;
  for (const Candidate& c : candidates_) best = std::max(best, c.logit);
  const float floor = best + std::log(params_.min_p);
  std::erase_if(candidates_, [&](const Candidate& c) { return c.logit < floor; });
}

TokenId Sampler::draw(std::span<const float> logits, std::span<const std::uint32_t> mask) {
  const std::span<const float> values = adjusted(logits);
  if (params_.temperature <= 0.0F) return greedy(values, mask);
  collect(values, mask);
  if (candidates_.empty()) return -1;
  keep_top_k();
  // A fixed order makes a seed reproduce its text whatever order the selection left.
  if (params_.top_k > 0) std::sort(candidates_.begin(), candidates_.end(), before<Candidate>);
  keep_top_p();
  keep_min_p();

  float best = candidates_.front().logit;
  for (const Candidate& c : candidates_) best = std::max(best, c.logit);
  double total = 0;
  for (const Candidate& c : candidates_) total += std::exp(static_cast<double>((c.logit - best) / params_.temperature));
  double rest = std::uniform_real_distribution<double>(0.0, total)(random_);
  for (const Candidate& c : candidates_) {
    rest -= std::exp(static_cast<double>((c.logit - best) / params_.temperature));
    if (rest <= 0) return c.token;
  }
  return candidates_.back().token;
}

StepLogprobs Sampler::logprobs(std::span<const float> logits, TokenId drawn) const {
  const float best = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit - best));
  const auto norm = static_cast<float>(best + std::log(total));
  StepLogprobs result;
  result.drawn = {drawn, logits[static_cast<std::size_t>(drawn)] - norm};
  std::vector<Candidate> all;
  all.reserve(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) all.push_back({logits[i], static_cast<TokenId>(i)});
  const std::size_t n = std::min(static_cast<std::size_t>(std::max(0, params_.top_logprobs)), all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n), all.end(), before<Candidate>);
  for (std::size_t i = 0; i < n; ++i) result.best.push_back({all[i].token, all[i].logit - norm});
  return result;
}

}  // namespace kvern::schedule
