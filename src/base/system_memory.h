// How much memory this process may still take.
#pragma once

#include <cstdint>

namespace kvern {

// Bytes available without swapping: the machine's, or what the control group leaves when that is
// less. 0 when the system does not say.
std::uint64_t available_memory_bytes();

}  // namespace kvern
