// How many threads decoding can use: hyperthreads share the units that matter.
#pragma once

#include <cstdint>

namespace kvern::engine {

// Physical cores this process may run on, at least 1. Virtual machines that show every vCPU as a
// thread of one core are taken at their word.
std::int32_t physical_cores();

}  // namespace kvern::engine
