// A bound and listening socket, and errors that say which flag to change.
//
// A unix socket's file has mode 0600 and is removed with this object, unless another server has
// put its own file there meanwhile. Thread: any, one at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace kvern::http {

class ListenSocket {
 public:
  static Result<ListenSocket> on_tcp(const std::string& host, std::uint16_t port);
  static Result<ListenSocket> on_unix(const std::string& path);

  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();

  int release();       // the descriptor now belongs to the caller; the file stays ours
  void remove_file();  // nobody can connect any more
  std::uint16_t port() const { return port_; }
  const std::string& address() const { return address_; }  // "http://127.0.0.1:8080", "unix:/path"

 private:
  explicit ListenSocket(int fd) : fd_(fd) {}

  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::string address_;
  std::string path_;
  dev_t file_device_ = 0;
  ino_t file_number_ = 0;
};

}  // namespace kvern::http
