// Records on disk: one file each, written once, checked at every read, gone when the budget says so.
//
// DIR/lock, DIR/v1/FINGERPRINT/model.json, DIR/v1/FINGERPRINT/xx/KEY.{block,tail,snapshot,turn}.
// The format is byte-exact in docs/disk-format.md. A wrong, short or unknown file is a miss: it is
// moved to DIR/quarantine, counted and logged once. Nothing here is an error for a client.
// One process owns a directory (flock on DIR/lock) and may write and delete; others only read.
//
// Thread: any. One mutex guards the index; all I/O runs on the store's own thread, so no call waits
// for the disk except open(), close() and the ones that say so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/result.h"
#include "cache/record_store.h"

namespace kvern::cache {

struct DiskOptions {
  std::filesystem::path directory;           // made 0700 when missing
  std::uint64_t budget_bytes = 0;            // allocated blocks of all files below the directory
  std::uint64_t free_floor_bytes = 0;        // leave at least this much free on the file system
  std::uint64_t daily_write_bytes = 0;       // endurance: at most so much in 24 h; 0: no bound
  std::uint64_t queue_bytes = 256ULL << 20;  // payloads waiting to be written
  bool read_only = false;                    // never own, write or delete
  bool threaded = true;                      // false: work happens in run_pending() (tests)
  std::string owner_note;                    // for people who find the directory taken, e.g. an address
};

// Whose records: the fingerprint, and what people should read about it (a JSON object's text).
struct DiskIdentity {
  Key fingerprint{};
  std::string description;
};

struct StoredRecord {
  RecordInfo info;
  std::uint64_t payload_bytes = 0;
  std::uint64_t file_bytes = 0;  // allocated
  std::int64_t used_s = 0;       // seconds since 1970; the file's modification time
  bool pinned = false;
};

struct DiskStats {
  bool owner = false;
  std::uint64_t records = 0;  // of this fingerprint
  std::uint64_t bytes = 0;    // allocated, everything below the directory
  std::uint64_t budget_bytes = 0;
  std::uint64_t queued_bytes = 0;
  std::uint64_t reads = 0, read_bytes = 0, read_us = 0;
  std::uint64_t writes = 0, written_bytes = 0;
  std::uint64_t writes_dropped = 0;  // queue full, suspended, over the daily budget
  std::uint64_t write_failures = 0;
  std::uint64_t evictions = 0;
  std::uint64_t damaged = 0;      // records refused by a check since start
  std::string suspended_because;  // "": writing; else why not, in words
};

class DiskStore final : public RecordStore {
 public:
  // Makes the directory, takes the lock (or goes on as a reader when another process holds it),
  // removes left-over temporary files, and reads every header of this fingerprint. Code::failed when
  // the directory cannot be made or read at all; the caller then serves without a disk tier.
  static Result<std::unique_ptr<DiskStore>> open(FileSystem& files, const Clock& clock, DiskOptions options,
                                                 DiskIdentity identity);
  // DiskOptions::owner_note of the process that owns the directory. Code::not_found when there is none.
  // After a crash it is the last owner's until the next open(): try it, do not trust it.
  static Result<std::string> owner_note(FileSystem& files, const std::filesystem::path& directory);

  // Stops after the write in progress; close() first to keep what is queued.
  ~DiskStore() override;

  bool owner() const;
  const Key& fingerprint() const;

  // Every record of this fingerprint, parents before children, pinned ones marked; for rebuilding the
  // tree at start, and `cache ls`.
  std::vector<StoredRecord> list() const;

  bool write(RecordInfo info, SharedBytes payload) override;
  void read(const RecordId& id) override;
  void touch(const RecordId& id) override;
  void remove(const RecordId& id) override;
  std::vector<StoreEvent> take_events() override;

  // Called on the store's thread when events wait. Set before the first request.
  std::function<void()> on_event;

  // Waits for the disk: writes what is queued for at most timeout_ms, syncs, drops the rest.
  void close(int timeout_ms);

  // For people. All wait for the disk; Code::busy when this process is not the owner.
  Status pin(const RecordId& id, bool pinned);           // survives restarts; never evicted, removed or cleared
  Result<std::uint64_t> prune(std::uint64_t bytes_max);  // evicts to this; returns bytes freed
  // Everything of this fingerprint but pinned records and what they build on. Returns bytes freed.
  Result<std::uint64_t> clear();
  struct Verified {
    std::uint64_t good = 0, bad = 0, bytes = 0;
  };
  // Bad ones are put aside. progress: false ends it early.
  Verified verify(const std::function<bool(std::uint64_t done, std::uint64_t of)>& progress);
  // The payload, now. For export and for turns at start.
  Result<SharedBytes> read_now(const RecordId& id);
  // Written, now, whatever the queue and the daily budget say; safe from a crash after flush(). For import.
  Status write_now(RecordInfo info, SharedBytes payload);
  Status flush();

  DiskStats stats() const;

  // With threaded = false: does everything queued.
  void run_pending();

 private:
  struct State;
  explicit DiskStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvern::cache
