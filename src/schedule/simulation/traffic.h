// Synthetic agent traffic: what comes when, drawn from a seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/generator.h"

namespace kvern::schedule::simulation {

struct Arrival {
  std::int64_t at_us = 0;
  std::string prompt;
  bool own_head = true;  // it shares no beginning with others
  bool call = false;     // its answer is held by a grammar
  std::string session;
  Priority priority = Priority::interactive;
  std::int64_t cancel_at_us = -1;  // -1: never
  std::size_t capacity = 256;      // tokens its client may lag behind
  int reads_every = 1;             // steps
};

struct Traffic {
  std::uint64_t seed = 0;
  std::int32_t cells = 3000;
  std::uint64_t memory_bytes = 0;
  std::int32_t parallel = 4;
  std::vector<Arrival> arrivals;  // by time
};

Traffic draw_traffic(std::uint64_t seed, std::size_t arrivals);

// For a person who looks for what went wrong.
std::string describe(const Traffic& traffic);

}  // namespace kvern::schedule::simulation
