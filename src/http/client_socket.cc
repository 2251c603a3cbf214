#include "http/client_socket.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "http/text.h"

namespace kvern::http {
namespace {

tl::unexpected<Error> nobody_listens(const std::string& address) {
  return fail(Code::failed, fmt::format("nobody listens at {}; start the server with `kvern serve`", address));
}

Result<Descriptor> connect_address(const sockaddr* target, socklen_t size, const std::string& address, int timeout_ms) {
  Descriptor fd(::socket(target->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return socket_error(address, "cannot make a socket for", errno);
  int error = ::connect(fd.get(), target, size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    TRY_OK(wait_for(fd.get(), POLLOUT, timeout_ms, address));
    socklen_t length = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  }
  if (error == ECONNREFUSED || error == ENOENT) return nobody_listens(address);
  if (error != 0) return socket_error(address, "cannot reach", error);
  return fd;
}

Result<Descriptor> connect_unix(const std::string& path, const std::string& address, int timeout_ms) {
  sockaddr_un target{};
  target.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof target.sun_path)
    return fail(Code::invalid, fmt::format("{} is no usable socket path", address));
  std::memcpy(target.sun_path, path.data(), path.size());
  return connect_address(reinterpret_cast<const sockaddr*>(&target), sizeof target, address, timeout_ms);
}

struct HostPort {
  std::string host;
  std::string port = "80";
};

// "http://127.0.0.1:8080/", "http://[::1]:8080", "http://localhost".
Result<HostPort> parse_address(const std::string& address) {
  constexpr std::string_view kScheme = "http://";
  const auto malformed =
      fail(Code::invalid, fmt::format("\"{}\" is no server address; write http://HOST:PORT or unix:/PATH", address));
  std::string_view rest = address;
  if (!equals_ignoring_case(rest.substr(0, kScheme.size()), kScheme)) return malformed;
  rest.remove_prefix(kScheme.size());
  rest = rest.substr(0, rest.find('/'));
  HostPort out;
  const std::size_t host_end = rest.starts_with('[') ? rest.find(']') : rest.find(':');
  out.host = rest.substr(0, host_end);
  if (rest.starts_with('[')) {
    if (host_end == std::string_view::npos) return malformed;
    out.host.erase(0, 1);
    rest.remove_prefix(host_end + 1);
  } else {
    rest.remove_prefix(std::min(host_end, rest.size()));
  }
  if (rest.starts_with(':')) {
    out.port = rest.substr(1);
  } else if (!rest.empty()) {
    return malformed;
  }
  if (out.host.empty() || out.port.empty() || out.port.find_first_not_of("0123456789") != std::string::npos)
    return malformed;
  return out;
}

Result<Descriptor> connect_tcp(const std::string& address, int timeout_ms) {
  TRY(const HostPort target, parse_address(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &list); error != 0)
    return fail(Code::failed, fmt::format("cannot find the host of {}: {}", address, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(list, &::freeaddrinfo);
  Result<Descriptor> last = nobody_listens(address);
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Result<Descriptor> fd = connect_address(entry->ai_addr, entry->ai_addrlen, address, timeout_ms);
    if (fd) return fd;
    if (entry == list) last = tl::unexpected(std::move(fd).error());
  }
  return tl::unexpected(std::move(last).error());
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

tl::unexpected<Error> socket_error(const std::string& address, std::string_view what, int error) {
  return fail(Code::failed, fmt::format("{} {}: {}", what, address, std::generic_category().message(error)));
}

Status wait_for(int fd, short events, int timeout_ms, const std::string& address) {
  pollfd entry{fd, events, 0};
  for (;;) {
    const int ready = ::poll(&entry, 1, timeout_ms);
    if (ready > 0) return {};
    if (ready == 0)
      return fail(Code::failed,
                  fmt::format("no progress from {} for {} ms; is the server stuck?", address, timeout_ms));
    if (errno != EINTR) return socket_error(address, "waiting for", errno);
  }
}

Result<Descriptor> connect_to(const std::string& address, int timeout_ms) {
  constexpr std::string_view kUnix = "unix:";
  if (address.starts_with(kUnix)) return connect_unix(address.substr(kUnix.size()), address, timeout_ms);
  return connect_tcp(address, timeout_ms);
}

}  // namespace kvern::http
