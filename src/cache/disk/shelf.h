// The files below one cache directory: where each lies, how it is checked, what all of them take.
//
// Knows names, bytes and pins; nothing of queues, budgets or time. Only the owner of the directory may
// call what changes files. Thread: one at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"
#include "cache/disk/disk_store.h"
#include "cache/disk/eviction_plan.h"
#include "cache/disk/record_format.h"

namespace kvern::cache {

enum class Access { owner, reader };

class Shelf {
 public:
  Shelf(FileSystem& files, std::filesystem::path directory, DiskIdentity identity);

  // The model's folder with its description; again whenever somebody removed it.
  Status make_folders();

  struct Found {
    std::vector<StoredRecord> records;  // in no order
    std::vector<RecordId> damaged_records;
    std::uint64_t damaged = 0;  // these, and files whose names are no record's
    bool complete = true;       // false: something could not be looked at now, so bytes() is too small
  };
  // Counts every file, reads every header of this model. The owner also clears away what a crash left
  // and puts damaged records aside. Code::failed when the directory cannot be listed at all.
  Result<Found> scan(Access access);

  // The payload, with every check there is. Code::corrupt when one fails.
  Result<SharedBytes> load(const RecordId& id) const;

  // Writes a file under its name, not yet safe: sync() makes it so. Returns its allocated bytes. On an
  // error nothing is left, or it is cleared away later.
  Result<std::uint64_t> publish(const RecordInfo& info, std::span<const std::byte> payload);
  // All that was published since the last call is safe from a crash. After an error it must be removed.
  Status sync();

  void remove(const RecordId& id, std::uint64_t bytes);
  void remove_others(std::vector<std::size_t> indices);
  // A damaged record: kept for a look when there is room for it, else removed.
  void put_aside(const RecordId& id, std::uint64_t bytes, const Error& why);
  // Removes what could not be removed earlier.
  void clear_leftovers();

  Status set_pinned(const RecordId& id, bool pinned);
  void set_used(const RecordId& id, std::int64_t used_s);

  // A small text file directly below the directory.
  std::string read_note(const std::string& name) const;
  Status write_note(const std::string& name, const std::string& text);

  std::uint64_t bytes() const { return bytes_; }  // allocated, of all files but the lock
  const std::vector<OtherFile>& others() const { return others_; }
  Result<FileSystem::Space> space() const { return files_.space(directory_); }
  // A folder was missing at publish(): what is believed about files is out of date. Until the next scan().
  bool lost_folders() const { return lost_folders_; }

 private:
  struct Leftover {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
  };
  struct Walk;  // one scan

  // The folder for records, made if need be; sync() will cover it.
  Status ensure_folder(const std::filesystem::path& shard);
  void forget_replaced(const std::filesystem::path& path);

  std::filesystem::path path_of(const RecordId& id) const;
  std::filesystem::path pin_path_of(const RecordId& id) const;
  void put_path_aside(const std::filesystem::path& path, std::uint64_t bytes, const std::string& why);
  // Whatever is at path, wherever the failure came from.
  void abandon(const std::filesystem::path& path);
  void remove_counted(const std::filesystem::path& path, std::uint64_t bytes);
  Status replace(const std::filesystem::path& path, const std::string& text);
  void subtract(std::uint64_t bytes) { bytes_ -= std::min(bytes, bytes_); }

  FileSystem& files_;
  std::filesystem::path directory_;
  DiskIdentity identity_;
  std::filesystem::path folder_;  // of the model
  std::uint64_t bytes_ = 0;
  std::vector<OtherFile> others_;
  std::vector<Leftover> leftovers_;
  std::set<std::filesystem::path> unsynced_;
  std::set<std::filesystem::path> unsynced_shards_;
  std::set<std::filesystem::path> safe_folders_;  // their own names survive a crash: synced by this process
  std::set<std::filesystem::path> unreadable_;    // records not to be used before the next scan; among others_
  std::uint64_t serial_ = 0;
  bool lost_folders_ = false;
  bool warned_ = false;
};

}  // namespace kvern::cache
