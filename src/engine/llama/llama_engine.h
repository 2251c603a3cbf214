// The engine on libllama's public API: one model, one context, a unified pool of KV cells.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/engine.h"

namespace kvern::engine {

struct LlamaOptions {
  std::string model_path;
  std::int32_t context = 0;      // positions one sequence may hold; 0: what the model was trained for
  std::int32_t context_max = 0;  // of a context nobody asked for; 0: no bound
  std::int32_t pool_factor = 1;  // cells all sequences share, in contexts; fewer when memory is short
  std::int32_t sequences = 8;    // one more is made inside, for saving and loading
  std::int32_t batch = 512;
  std::int32_t threads = 0;  // 0: one a physical core
  std::string kv_type = "f16";
  std::string weights_hash;                  // of the whole file; becomes a part of the fingerprint
  std::uint64_t kv_bytes_max = 0;            // shrink a context nobody asked for to this; 0: no bound
  std::function<bool(float)> load_progress;  // 0..1; false ends the loading
};

// Reads weights with mmap. Errors name the flag (--model, --kv-type, --context).
Result<std::unique_ptr<Engine>> make_llama_engine(const LlamaOptions& options);

// The pinned commit and the instruction sets it was built for, for `kvern doctor`.
std::string llama_build();

}  // namespace kvern::engine
