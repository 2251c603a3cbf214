// The disk tier of one model: where, how much, and what of it comes back at start.
#pragma once

#include <memory>
#include <string>

#include "app/options.h"
#include "cache/disk/disk_store.h"
#include "cache/prefix_cache.h"
#include "chat/turns/turn_index.h"
#include "engine/engine.h"

namespace kvern::app {

bool wants_disk(const ServeOptions& options);

// Null, with a line in the log that says why, when there is none: switched off, no cache folder, or
// the folder cannot be used. address: of this server, for whoever finds the folder taken. Thread: any.
std::unique_ptr<cache::DiskStore> open_disk(const ServeOptions& options, const engine::Info& info,
                                            const std::string& name, const std::string& address);

// Gives tree and turns what the store holds. Thread: engine, before the first request.
void recover(cache::DiskStore& disk, cache::PrefixCache& cache, chat::TurnIndex& turns);

// Records that came to the store by another way than writing (an import). Thread: engine.
void add_stored(const std::vector<cache::StoredRecord>& records, cache::PrefixCache& cache);

// Turns that are remembered from now on go to the store. It must outlive them.
void keep_turns(chat::TurnIndex& turns, cache::DiskStore& disk, const cache::Key& root);

}  // namespace kvern::app
