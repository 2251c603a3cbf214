// The records below a cache folder, as `kvern cache` works on them when no server has to be asked.
//
// Reading is always allowed. Changing wants the directory's lock, which a running server holds.
// Thread: main; everything waits for the disk.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/disk/archive.h"
#include "cache/disk/disk_store.h"

namespace kvern::cli {

using cache::DiskStore;
using cache::StoredModel;
using cache::StoredRecord;

// What people call the model: its name in the description, else the beginning of its fingerprint.
std::string model_name(const StoredModel& model);

struct FoundRecord {
  StoredModel model;
  StoredRecord record;
};

class CacheDirectory {
 public:
  CacheDirectory(std::filesystem::path path, std::string chosen) : path_(std::move(path)), chosen_(std::move(chosen)) {}

  const std::filesystem::path& path() const { return path_; }

  // Last used first; those --fingerprint chooses. None when nothing was ever kept.
  Result<std::vector<StoredModel>> models() const;
  // The only one; Code::invalid about --fingerprint when there are several.
  Result<StoredModel> model() const;

  Result<std::unique_ptr<DiskStore>> read(const StoredModel& model) const;
  // Null when another process owns the directory.
  Result<std::unique_ptr<DiskStore>> own(const StoredModel& model) const;

  // "ab12cd", or "snapshot:ab12cd" where a position has records of several kinds. Code::not_found, or
  // Code::invalid when more than one fits.
  Result<FoundRecord> find(std::string_view prefix) const;

  // The address of the server that owns the directory, if one says so.
  Result<std::string> owner_address() const;

 private:
  Result<std::unique_ptr<DiskStore>> open(const StoredModel& model, bool read_only) const;

  std::filesystem::path path_;
  std::string chosen_;  // the beginning of a fingerprint, or a name; empty: all
};

}  // namespace kvern::cli
