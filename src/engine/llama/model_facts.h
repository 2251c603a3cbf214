// What kvern says about a loaded libllama model: sizes, kind of state, and its fingerprint.
//
// Thread: the one that loads the model.
#pragma once

#include <llama.h>

#include <cstddef>
#include <string>

#include "engine/engine.h"

namespace kvern::engine {

// A value of the GGUF's metadata as text; "" when there is none.
std::string meta(const llama_model* model, const std::string& key);

// KV cells of one token over all layers, about: some architectures have other head sizes in some
// layers. 0 for a model that keeps no cells.
std::size_t kv_bytes_per_token(const llama_model* model, ggml_type type);

bool keeps_rows(const llama_model* model);     // cells of attention layers
bool keeps_running(const llama_model* model);  // a running state
bool window_in_chunks(
    const llama_model* model);  // a window that begins anew every so many positions, not one that slides

// Every fact that changes KV bytes. Instruction sets are among them: they change the last bits of what
// is computed, and a kernel that is wrong on one machine must not reach another through saved rows.
// Threads and batch sizes also change last bits; they are left out, as all of them are equally right.
std::vector<std::string> fingerprint_parts(const llama_model* model, const llama_context* context,
                                           const std::string& kv_type, const std::string& weights_hash);

}  // namespace kvern::engine
