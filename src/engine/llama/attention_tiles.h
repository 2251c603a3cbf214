// How a step's size falls in with the tiles of a CPU's attention.
//
// ggml (ggml_compute_forward_flash_attn_ext_f16 in ggml-cpu/ops.cpp) deals the rows of all heads out in four equal
// parts a thread, and computes each part in tiles of 64 rows of one head; a tile that is not full takes as long as one
// that is. With nine heads, two threads and 128 tokens a third of the work is for nothing, with 256 a ninth.
#pragma once

#include <cstdint>

namespace kvern::engine {

// What attention takes for a step of so many tokens, in parts of what full tiles would.
double attention_cost(std::int32_t tokens, std::int32_t heads, std::int32_t threads);

// So many tokens of a prompt at once: as few as possible, for whoever comes meanwhile waits for the step's end, and
// enough for tiles that are about full. 128 to 256.
std::int32_t efficient_batch(std::int32_t heads, std::int32_t threads);

}  // namespace kvern::engine
