#include "http/listen_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

namespace kvern::http {
namespace {

constexpr const char* kUnixFlag = "--unix-socket";

std::string reason(int error) { return std::generic_category().message(error); }

int new_socket(int family) { return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0 || host.empty())
    return fail(Code::failed,
                fmt::format("\"{}\" is no address of this machine ({}); use 127.0.0.1, or 0.0.0.0 for all, with --host",
                            host, host.empty() ? "empty" : ::gai_strerror(error)),
                "--host");
  return Addresses(list);
}

tl::unexpected<Error> bind_error(int error, const std::string& host, std::uint16_t port) {
  if (error == EADDRINUSE)
    return fail(Code::failed,
                fmt::format("port {} on {} is already in use; is kvern already running? Choose another with --port",
                            port, host),
                "--port");
  if (error == EACCES)
    return fail(Code::failed,
                fmt::format("port {} needs more rights than this user has; choose one above 1023 with --port", port),
                "--port");
  if (error == EADDRNOTAVAIL)
    return fail(Code::failed, fmt::format("{} is not an address of this machine; choose another with --host", host),
                "--host");
  return fail(Code::failed, fmt::format("cannot listen on {} port {}: {}", host, port, reason(error)), "--host");
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

tl::unexpected<Error> unix_error(const std::string& path, std::string_view what) {
  return fail(Code::failed, fmt::format("cannot listen on the unix socket {}: {}", path, what), kUnixFlag);
}

// A file of a server that died is removed; one of a living server, or no socket at all, is not.
Status clear_stale_file(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) return unix_error(path, "the file exists and is not a socket; choose another path");
  const int probe = new_socket(AF_UNIX);
  if (probe < 0) return unix_error(path, reason(errno));
  const int connected = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = connected == 0 ? 0 : errno;
  ::close(probe);
  if (error == 0 || error == EAGAIN)  // EAGAIN: alive, with a full backlog
    return unix_error(path, "another server listens there; is kvern already running?");
  if (error == ENOENT) return {};
  if (error != ECONNREFUSED) return unix_error(path, reason(error));
  if (::unlink(path.c_str()) != 0) return unix_error(path, reason(errno));
  return {};
}

}  // namespace

Result<ListenSocket> ListenSocket::on_tcp(const std::string& host, std::uint16_t port) {
  TRY(const Addresses addresses, resolve(host, port));
  int error = EADDRNOTAVAIL;
  for (const addrinfo* entry = addresses.get(); entry != nullptr; entry = entry->ai_next) {
    ListenSocket made(new_socket(entry->ai_family));
    const int on = 1;
    if (made.fd_ >= 0 && ::setsockopt(made.fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        ::bind(made.fd_, entry->ai_addr, entry->ai_addrlen) == 0 && ::listen(made.fd_, SOMAXCONN) == 0) {
      made.port_ = bound_port(made.fd_);
      const bool brackets = host.find(':') != std::string::npos;
      made.address_ = fmt::format("http://{}{}{}:{}", brackets ? "[" : "", host, brackets ? "]" : "", made.port_);
      return made;
    }
    error = errno;
    if (error == EADDRINUSE) break;  // "localhost" in use must not become the other "localhost"
  }
  return bind_error(error, host, port);
}

Result<ListenSocket> ListenSocket::on_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return unix_error(path, fmt::format("the path is over {} bytes", sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.data(), path.size());
  TRY_OK(clear_stale_file(path, address));

  ListenSocket made(new_socket(AF_UNIX));
  if (made.fd_ < 0) return unix_error(path, reason(errno));
  if (::bind(made.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return unix_error(path, reason(errno));
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return unix_error(path, reason(errno));
  made.path_ = path;
  made.file_device_ = info.st_dev;
  made.file_number_ = info.st_ino;
  made.address_ = "unix:" + path;
  // Before listen() nobody can connect, so there is no moment with a wider mode.
  if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(made.fd_, SOMAXCONN) != 0)
    return unix_error(path, reason(errno));
  return made;
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      port_(other.port_),
      address_(std::move(other.address_)),
      path_(std::exchange(other.path_, {})),
      file_device_(other.file_device_),
      file_number_(other.file_number_) {}

ListenSocket::~ListenSocket() {
  remove_file();
  if (fd_ >= 0) ::close(fd_);
}

int ListenSocket::release() { return std::exchange(fd_, -1); }

void ListenSocket::remove_file() {
  const std::string path = std::exchange(path_, {});
  if (path.empty()) return;
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && info.st_dev == file_device_ && info.st_ino == file_number_)
    ::unlink(path.c_str());
}

}  // namespace kvern::http
