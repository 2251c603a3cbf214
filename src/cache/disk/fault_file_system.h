// A file system in memory that fails on demand and forgets what was not synced: for tests.
//
// It models the worst a journal allows: after reboot() each change of a directory that no sync covered
// has happened or not, each on its own. Contents are safe once write_new() succeeded.
// Thread: any; one mutex. The plan is called with it held.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace kvern::cache {

class FaultFileSystem final : public FileSystem {
 public:
  enum class Operation { make_directory, list, facts, space, write, read, rename, remove, set_modified, sync, lock };
  enum class Fault {
    none,
    io_error,     // nothing happens
    no_space,     // nothing happens; Code::too_large
    short_write,  // part of a file is written and stays; else as io_error
    late_error,   // it happens, and an error is told
    flip_bit,     // one bit of what is read is wrong; else as none
    crash,        // it happens in part; from now on everything fails, until reboot()
  };
  using Plan = std::function<Fault(Operation, const std::filesystem::path&)>;

  // Asked before each operation. None: no faults.
  void set_plan(Plan plan);
  // The nth operation of this kind from now on (1: the next) fails so.
  void fail_nth(Operation operation, int nth, Fault fault);
  bool crashed() const;

  // Power lost and back: keeps what was synced, and of the rest what the seed says. Frees all locks.
  void reboot(std::uint64_t seed);

  // What others do to a directory.
  void change(const std::filesystem::path& path, const std::function<void(std::vector<std::byte>&)>& how);
  void remove_tree(const std::filesystem::path& path);
  void put(const std::filesystem::path& path, std::size_t bytes);  // makes its folders

  std::vector<std::filesystem::path> all_files() const;
  std::uint64_t allocated_bytes() const;  // of all files but those named "lock"
  std::uint64_t capacity_bytes = std::uint64_t{1} << 40;
  std::int64_t now_s = 0;  // the time new files get

  Status make_directory(const std::filesystem::path& path) override;
  Result<std::vector<Entry>> list(const std::filesystem::path& directory) override;
  Result<Facts> facts(const std::filesystem::path& path) override;
  Result<Space> space(const std::filesystem::path& path) override;
  Status write_new(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts) override;
  Result<std::vector<std::byte>> read(const std::filesystem::path& path, std::uint64_t offset,
                                      std::uint64_t bytes_max) override;
  Status rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Status remove(const std::filesystem::path& path) override;
  Status set_modified(const std::filesystem::path& path, std::int64_t modified_s) override;
  Status sync_directory(const std::filesystem::path& path) override;
  Result<std::unique_ptr<Lock>> lock(const std::filesystem::path& path, const std::string& note) override;

 private:
  struct Node {
    bool directory = false;
    std::vector<std::byte> bytes;
    std::int64_t modified_s = 0;
  };
  using Tree = std::map<std::string, std::shared_ptr<Node>>;  // by whole path
  struct Locks;
  class HeldLock;

  // mutex held
  Fault next(Operation operation, const std::filesystem::path& path);
  bool is_directory(const std::string& path) const;
  std::uint64_t allocated() const;
  Status make(const std::filesystem::path& path);

  mutable std::mutex mutex_;
  Plan plan_;
  bool crashed_ = false;
  std::mt19937_64 random_{1};
  Tree now_;
  Tree safe_;
  std::shared_ptr<Locks> locks_;
};

}  // namespace kvern::cache
