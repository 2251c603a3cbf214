// The file operations a crash-safe store needs, as values, so that tests can make each of them fail.
//
// Links are never followed below the path given. Thread: any; implementations hold no state a caller
// can see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace kvern {

// errno in words is in the message; Code::not_found for ENOENT, Code::too_large for ENOSPC and EDQUOT,
// else Code::failed.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  struct Entry {
    std::string name;
    bool directory = false;
  };
  struct Facts {
    std::uint64_t bytes = 0;
    std::uint64_t allocated_bytes = 0;
    std::int64_t modified_s = 0;
  };
  struct Space {
    std::uint64_t free_bytes = 0;  // for this user
    std::uint64_t total_bytes = 0;
  };
  // Held until destroyed; the file's note is emptied then, the file stays.
  class Lock {
   public:
    virtual ~Lock() = default;
  };

  // 0700, with its parents; fine when it is there.
  virtual Status make_directory(const std::filesystem::path& path) = 0;
  // By name; without "." and "..". A link is no directory.
  virtual Result<std::vector<Entry>> list(const std::filesystem::path& directory) = 0;
  virtual Result<Facts> facts(const std::filesystem::path& path) = 0;
  virtual Result<Space> space(const std::filesystem::path& path) = 0;

  // Creates a new file 0600 with these bytes, in order, and fdatasyncs it. Removes it again on failure.
  virtual Status write_new(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts) = 0;
  // At most bytes_max bytes from offset; fewer at the end of the file.
  virtual Result<std::vector<std::byte>> read(const std::filesystem::path& path, std::uint64_t offset,
                                              std::uint64_t bytes_max) = 0;
  virtual Status rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  virtual Status remove(const std::filesystem::path& path) = 0;  // a file or an empty directory
  virtual Status set_modified(const std::filesystem::path& path, std::int64_t modified_s) = 0;
  virtual Status sync_directory(const std::filesystem::path& path) = 0;

  // Takes an exclusive flock on the file, made 0600 when missing, and writes `note` into it. Null when
  // another process holds it.
  virtual Result<std::unique_ptr<Lock>> lock(const std::filesystem::path& path, const std::string& note) = 0;
};

// The real one.
FileSystem& file_system();

}  // namespace kvern
