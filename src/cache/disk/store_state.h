// The inside of DiskStore: its index and queues, and the work its thread does.
//
// What stands below `mutex` is guarded by it. The rest belongs to the store's thread after open() (to
// the caller of run_pending() when there is none).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cache/disk/daily_writes.h"
#include "cache/disk/disk_store.h"
#include "cache/disk/shelf.h"

namespace kvern::cache {

// Evict a twentieth of the budget more than needed: one pass makes room for many writes.
inline constexpr std::uint64_t kSlackOfBudget = 20;

struct DiskStore::State {
  State(FileSystem& files_in, const Clock& clock_in, DiskOptions options_in, DiskIdentity identity_in);
  ~State();

  struct Entry {
    RecordInfo info;
    std::uint64_t payload_bytes = 0;
    std::uint64_t file_bytes = 0;
    std::int64_t used_s = 0;
    std::int64_t saved_used_s = 0;  // as the file has it
    std::uint32_t hits = 0;
    std::uint32_t failed_reads = 0;
    bool pinned = false;
    bool safe = false;     // survives a crash
    bool checked = false;  // written or read whole by this process
  };
  struct Job {
    RecordInfo info;
    SharedBytes payload;
    bool cancelled = false;  // guarded by mutex
  };
  struct Removal {
    RecordId id;
    std::uint64_t bytes = 0;
  };

  // store_open.cc
  Status open();
  void start();

  // store_queue.cc: any thread
  bool enqueue(RecordInfo info, SharedBytes payload);
  void enqueue_read(const RecordId& id);
  void touch(const RecordId& id);
  void cancel_or_remove(const RecordId& id);
  void run_on_disk(const std::function<void()>& task);  // waits for it
  void wake_up();
  std::string why_not_writing() const;  // mutex held
  std::int64_t wall_s() const;

  // store_work.cc: the store's thread
  void work(std::stop_token stop);
  void drain(const std::stop_token* stop);
  bool step();
  void settle();
  void read_one(const RecordId& id);
  Result<SharedBytes> load(const RecordId& id);
  void save_used(bool all);
  void save_daily(bool always);
  void notify();

  // store_write.cc: the store's thread
  void write_one(const std::shared_ptr<Job>& job);
  Status publish(const std::shared_ptr<Job>& job);
  Status make_room(std::uint64_t bytes);
  std::uint64_t evict(std::uint64_t bytes_to_free, bool others_too);
  Status sync_batch();
  void suspend(const std::string& because);
  void drop_queue();
  void rescan();
  void take_found(Shelf::Found found);  // mutex held: adds to the index what it lacks
  void put_aside(const RecordId& id, const Error& why);
  void finish(const std::shared_ptr<Job>& job);                // mutex held: it no longer waits
  void push_event(StoreEvent::Kind kind, const RecordId& id);  // mutex held

  FileSystem& files;
  const Clock& clock;
  const DiskOptions options;
  const DiskIdentity identity;
  const DiskStore* store = nullptr;  // for its on_event
  std::unique_ptr<FileSystem::Lock> lock;
  bool owner = false;
  std::string reader_because;  // why not the owner
  std::int64_t opened_us = 0;
  std::int64_t opened_s = 0;
  Shelf shelf;
  std::vector<RecordId> batch;     // published, not yet safe
  std::int64_t rescan_at_us = -1;  // a scan was incomplete; -1: none wanted
  std::uint64_t daily_unsaved = 0;

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable stepped;
  bool has_work = false;
  bool closed = false;
  std::unordered_map<RecordId, Entry, RecordIdHasher> index;
  std::unordered_map<RecordId, std::shared_ptr<Job>, RecordIdHasher> waiting;  // to be written
  std::deque<std::shared_ptr<Job>> writes;
  std::deque<RecordId> reads;
  std::deque<Removal> removals;
  std::deque<std::function<void()>> tasks;
  std::vector<RecordId> touched;  // their files' times are out of date
  std::vector<StoreEvent> events;
  std::size_t events_told = 0;
  std::uint64_t queued_bytes = 0;
  bool busy = false;  // a write or an unsafe batch is under way
  std::int64_t suspended_until_us = 0;
  std::int64_t backoff_us = 0;
  std::string suspended_because;
  DailyWrites daily;
  DiskStats stats;  // the counters, and `bytes` as of the last step

  std::jthread thread;  // last: it uses all of the above
};

}  // namespace kvern::cache
