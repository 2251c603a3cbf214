// The SHA-256 of a model's weights, computed once a file: what saved KV rows are tied to.
//
// Hashes are remembered in CACHE_DIR/weights.json by path, device, inode, size and modification time.
// A damaged or missing file there costs a new computation and nothing else. Thread: any, one at a time
// for a cache folder; two processes may lose each other's entry, never mix two up.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/result.h"

namespace kvern::app {

// Hexadecimal. Covers all shards when the name ends in -00001-of-00003.gguf. `progress` may be empty;
// it gets 0..1 while bytes are read. Code::not_found and Code::failed name the file.
Result<std::string> weights_hash(const std::filesystem::path& model, const std::filesystem::path& cache_dir,
                                 const std::function<void(float)>& progress);

}  // namespace kvern::app
