// A connected, non-blocking socket of the client, and waiting for it with errors people can act on.
// Thread: the caller's.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace kvern::http {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_;
};

// The address is "http://HOST[:PORT]" or "unix:/PATH"; Code::invalid when it is neither.
Result<Descriptor> connect_to(const std::string& address, int timeout_ms);

// Until one of the poll() events is there; an error after timeout_ms.
Status wait_for(int fd, short events, int timeout_ms, const std::string& address);

// "WHAT ADDRESS: reason of errno".
tl::unexpected<Error> socket_error(const std::string& address, std::string_view what, int error);

}  // namespace kvern::http
