// One file with many records, to carry a cache to another machine; and what models a directory holds.
//
// An archive is a short header with the fingerprint, then whole record files with their lengths;
// docs/disk-format.md has the bytes. Reading one checks each record as a read from disk does.
// Thread: any; all of these wait for the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"
#include "cache/disk/disk_store.h"

namespace kvern::cache {

struct Archived {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;    // of their files
  std::uint64_t skipped = 0;  // export: could not be read. Import: there already
  std::uint64_t damaged = 0;  // import: refused by a check
};

// Writes these records, or all when ids is empty, turns too, parents first. Replaces path only when the
// archive is whole.
Result<Archived> export_records(DiskStore& store, const std::vector<RecordId>& ids, const std::filesystem::path& path);

// Adds what the archive holds. Code::invalid when it is no archive or of another model, Code::busy when
// the store is not the owner. What was added before an error stays.
Result<Archived> import_records(DiskStore& store, const std::filesystem::path& path);

struct StoredModel {
  Key fingerprint{};
  std::string description;  // a JSON object's text; "" when lost
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  // allocated
  std::int64_t used_s = 0;  // the newest record's
};

// Of models that have records; no header is read. An empty directory has none.
Result<std::vector<StoredModel>> list_models(FileSystem& files, const std::filesystem::path& directory);

}  // namespace kvern::cache
