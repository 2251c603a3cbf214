// How many tokens a conversation may have, and how many cells all of them share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/llama/llama_engine.h"

namespace kvern::engine {

// The context to use: what was asked for, else what the model was trained for (0: not known), cut to what the memory
// bound allows. token_bytes: of KV cells, 0 when the model keeps none.
std::int32_t choose_context(const LlamaOptions& options, std::int32_t trained, std::size_t token_bytes);

// Cells of the shared pool: pool_factor contexts if memory allows, never less than one.
std::int32_t pool_cells(const LlamaOptions& options, std::int32_t context, std::size_t token_bytes);

}  // namespace kvern::engine
