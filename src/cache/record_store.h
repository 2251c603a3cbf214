// A place for records beyond RAM, as the prefix cache sees it.
//
// Everything is a request; answers arrive as events. A store may drop writes and lose records at
// any time: that costs a miss, never an error. Implemented by disk/DiskStore, and by tests.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "cache/record.h"

namespace kvern::cache {

struct StoreEvent {
  enum class Kind {
    read,     // payload holds the bytes, checked, or says why there are none
    written,  // the record survives a crash now
    gone,     // evicted, damaged, or a write that failed: do not count on it
  };
  Kind kind = Kind::gone;
  RecordId id;
  Result<SharedBytes> payload;  // Kind::read only. Code::corrupt: damaged and put aside
  std::int64_t took_us = 0;     // Kind::read: of the read itself, without its time in the queue
};

class RecordStore {
 public:
  virtual ~RecordStore() = default;

  // Queues a write. False when it is dropped at once: the queue is full, writing is suspended, or the
  // store is read-only. True also when the record is there already (a `written` event follows).
  virtual bool write(RecordInfo info, SharedBytes payload) = 0;

  // Queues a read. Exactly one `read` event follows.
  virtual void read(const RecordId& id) = 0;

  // It was useful just now: evict it later than others.
  virtual void touch(const RecordId& id) = 0;

  // Superseded or wrong. Pinned ones stay.
  virtual void remove(const RecordId& id) = 0;

  // What happened since the last call, oldest first.
  virtual std::vector<StoreEvent> take_events() = 0;
};

}  // namespace kvern::cache
