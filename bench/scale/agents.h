// Synthetic coding agents: each asks, waits for the answer, works for a while and asks again with all that was said
// before. Some turns are given to sub-agents, which run at once under a head of their own; the parent goes on
// when all have answered. What an agent does next depends on its seed alone, not on when it was answered.
//
// Pure; thread: any.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/generator.h"

namespace kvern::bench {

struct TrafficShape {
  std::uint64_t seed = 1;
  int agents = 6;
  int turns = 25;                     // of each agent; sub-agents' come on top
  int sub_agents = 3;                 // at most, of one turn; 0: none
  std::int32_t head_tokens = 18'000;  // system text and tools; sub-agents' are a third
  std::int32_t own_tokens = 1'500;    // what one conversation begins with after its head
  double new_p50 = 712;               // tokens a turn adds, beside the last answer
  double new_p90 = 5'220;
  double answer_p50 = 216;
  double think_p50_s = 10;        // between an answer and the next request
  std::int32_t context = 65'536;  // a longer conversation is summed up and begins anew
};

// Of a lognormal distribution with this median and this 90th percentile.
double draw_lognormal(std::mt19937_64& random, double p50, double p90);

struct Request {
  std::vector<TokenId> prompt;
  std::int32_t answer_tokens = 0;
  std::int64_t think_us = 0;  // before it
};

// One conversation after the other, of an agent or of a sub-agent.
class Agent {
 public:
  // head: whose system text it has; agents of an equal one share it.
  Agent(const TrafficShape& shape, std::string name, int head, int turns, std::uint64_t seed);

  const std::string& name() const { return name_; }
  bool is_sub_agent() const { return sub_agent_; }
  bool finished() const { return turns_ == 0; }

  // Not finished. What was said before, its answers included, begins the prompt.
  Request next();
  void answered(const std::vector<TokenId>& answer);

  // What its latest turn gives to others; empty in most. They are to be finished before next().
  std::vector<Agent> sub_agents();

 private:
  Agent(const Agent& parent, int number);
  void begin();
  void say(std::string_view role, std::int32_t tokens);

  TrafficShape shape_;
  std::string name_;
  int head_ = 0;
  int turns_ = 0;
  bool sub_agent_ = false;
  std::mt19937_64 random_;
  std::vector<TokenId> said_;
};

std::vector<Agent> make_agents(const TrafficShape& shape);

}  // namespace kvern::bench
