// Synthetic agent traffic: what comes when, drawn from a seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/generator.h"

namespace kvern::schedule::simulation {

struct Arrival {
  std::int64_t at_us = 0;
  std::size_t number = 0;    // its place in the traffic that was drawn
  bool own_head = true;      // it shares no beginning with others
  std::size_t agent = 0;     // else: whose head it has, of three
  std::size_t padding = 0;   // letters of its own head
  std::size_t turns = 0;     // earlier ones, behind a shared head
  std::size_t question = 1;  // letters of its last turn
  char letter = 'x';
  bool call = false;  // its answer is held by a grammar
  std::string session;
  Priority priority = Priority::interactive;
  std::int64_t cancel_at_us = -1;  // -1: never
  std::size_t capacity = 256;      // tokens its client may lag behind
  int reads_every = 1;             // steps

  bool operator==(const Arrival&) const = default;
};

struct Traffic {
  std::uint64_t seed = 0;
  std::int32_t cells = 3000;
  std::uint64_t memory_bytes = 0;
  std::int32_t parallel = 4;
  bool one_by_one = false;        // the engine computes rows so, as a CPU does
  std::int32_t window = 0;        // tokens the model's attention sees; 0: all
  std::vector<Arrival> arrivals;  // by time
};

Traffic draw_traffic(std::uint64_t seed, std::size_t arrivals);

std::string prompt_of(const Arrival& arrival);

// For a person who looks for what went wrong.
std::string describe(const Traffic& traffic);

}  // namespace kvern::schedule::simulation
