// The events of a streamed answer, read on a thread of their own, so that whoever waits for them
// can also look at Ctrl-C: the client blocks for as long as the server computes in silence.
//
// While events wait that nobody takes, no more are read than the bound allows: then the socket fills, and it is the
// server that decides about a client that reads nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/client.h"

namespace kvern::cli {

// Thread: main. Its thread ends by itself, at the latest with the request's timeout.
class EventFeed {
 public:
  // unread_bytes_max: of events not taken yet, about; one more may be on top.
  EventFeed(http::ClientRequest request, std::size_t unread_bytes_max);
  ~EventFeed();  // does not wait: the connection is closed when the server next says something
  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  enum class Got { data, nothing_yet, end };
  struct Event {
    std::string name;  // empty: it has none
    std::string data;
  };
  Got next(Event& event, int wait_ms);
  // After Got::end.
  const Result<http::ClientResponse>& ending() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  // with its thread, which may outlive this object
};

}  // namespace kvern::cli
