#include "scale/agents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "engine/fake/fake_vocab.h"

namespace kvern::bench {
namespace {

constexpr double kZ90 = 1.2815515655446004;  // 90 % of a normal distribution are below
constexpr double kThinkSpread = 3.5;         // p90 of a pause over its median
constexpr double kAnswerSpread = 4;
constexpr std::int32_t kAnswerMax = 2'000;
constexpr std::int32_t kNewMax = 20'000;
constexpr std::int32_t kSummaryTokens = 2'000;
constexpr std::uint64_t kTurnsToSubAgents = 6;  // one turn in so many is given to some
constexpr int kSubAgentHeads = 100;             // numbers of heads from here on are sub-agents'

void append(std::vector<TokenId>& out, std::string_view text) {
  static const engine::FakeVocab kVocab;
  kVocab.tokenize(text, SpecialTokens::as_tokens, out);
}

void append_random(std::vector<TokenId>& out, std::mt19937_64& random, std::int32_t tokens) {
  for (std::int32_t i = 0; i < tokens; ++i) out.push_back(static_cast<TokenId>('a' + random() % 26));
}

std::int32_t clamped(double value, std::int32_t low, std::int32_t high) {
  return static_cast<std::int32_t>(std::clamp(value, static_cast<double>(low), static_cast<double>(high)));
}

}  // namespace

double draw_lognormal(std::mt19937_64& random, double p50, double p90) {
  // Box and Muller: the same on every standard library.
  const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 0.5) / 9007199254740992.0; };
  const double radius = std::sqrt(-2 * std::log(uniform()));
  const double normal = radius * std::cos(2 * 3.14159265358979323846 * uniform());
  return p50 * std::exp(normal * std::log(p90 / p50) / kZ90);
}

Agent::Agent(const TrafficShape& shape, std::string name, int head, int turns, std::uint64_t seed)
    : shape_(shape), name_(std::move(name)), head_(head), turns_(turns), random_(seed) {
  begin();
}

Agent::Agent(const Agent& parent, int number)
    : shape_(parent.shape_),
      name_(fmt::format("{}/{}-{}", parent.name_, parent.turns_, number)),
      head_(kSubAgentHeads + parent.head_),
      sub_agent_(true),
      random_(parent.random_) {
  random_.discard(1'000'000ULL * static_cast<unsigned>(number + 1));
  turns_ = static_cast<int>(2 + random_() % 5);
  begin();
}

void Agent::begin() {
  std::mt19937_64 of_head(shape_.seed * 1'000 + static_cast<std::uint64_t>(head_));
  said_.clear();
  append(said_, "<|im_start|>system\n");
  append_random(said_, of_head, sub_agent_ ? shape_.head_tokens / 3 : shape_.head_tokens);
  append(said_, "<|im_end|>\n");
  say("user", shape_.own_tokens);
}

void Agent::say(std::string_view role, std::int32_t tokens) {
  append(said_, fmt::format("<|im_start|>{}\n", role));
  append_random(said_, random_, tokens);
  append(said_, "<|im_end|>\n");
}

Request Agent::next() {
  Request request;
  const std::int32_t fresh = clamped(draw_lognormal(random_, shape_.new_p50, shape_.new_p90), 16, kNewMax);
  request.answer_tokens = clamped(draw_lognormal(random_, shape_.answer_p50, shape_.answer_p50 * kAnswerSpread), 4,
                                  std::min(kAnswerMax, shape_.context / 10));
  const double think_s = draw_lognormal(random_, shape_.think_p50_s, shape_.think_p50_s * kThinkSpread);
  request.think_us = static_cast<std::int64_t>(1e6 * std::min(think_s, 30 * shape_.think_p50_s));
  constexpr std::int32_t kMarkers = 64;
  const auto after = static_cast<std::int32_t>(said_.size()) + fresh + request.answer_tokens + kMarkers;
  if (after > shape_.context) {
    begin();
    say("user", std::min(kSummaryTokens, shape_.context / 8));
  }
  say("user", std::min(fresh, shape_.context / 4));
  append(said_, "<|im_start|>assistant\n");
  request.prompt = said_;
  --turns_;
  return request;
}

void Agent::answered(const std::vector<TokenId>& answer) {
  said_.insert(said_.end(), answer.begin(), answer.end());
  append(said_, "<|im_end|>\n");
}

std::vector<Agent> Agent::sub_agents() {
  std::vector<Agent> agents;
  if (sub_agent_ || shape_.sub_agents == 0 || random_() % kTurnsToSubAgents != 0) return agents;
  const int count = 1 + static_cast<int>(random_() % static_cast<std::uint64_t>(shape_.sub_agents));
  for (int i = 0; i < count; ++i) agents.push_back(Agent(*this, i));
  return agents;
}

// Two programs: two of three agents are of the first.
std::vector<Agent> make_agents(const TrafficShape& shape) {
  std::vector<Agent> agents;
  for (int i = 0; i < shape.agents; ++i)
    agents.emplace_back(shape, fmt::format("agent{}", i), i % 3 == 2 ? 1 : 0, shape.turns,
                        shape.seed * 1'000'003 + static_cast<std::uint64_t>(i));
  return agents;
}

}  // namespace kvern::bench
