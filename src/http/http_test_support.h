// Real sockets for the tests of this module: a raw client, and a server on a free port.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "http/server.h"

namespace kvern::http::test {

// Only how long a broken test hangs; a passing one never waits for it.
inline constexpr int kPatience_s = 20;

// What the net thread tells the test.
template <typename T>
class Inbox {
 public:
  void put(T value) {
    {
      const std::lock_guard lock(mutex_);
      items_.push_back(std::move(value));
    }
    ready_.notify_all();
  }

  std::optional<T> wait() {
    std::unique_lock lock(mutex_);
    if (!ready_.wait_for(lock, std::chrono::seconds(kPatience_s), [this] { return !items_.empty(); })) return {};
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  bool empty() {
    const std::lock_guard lock(mutex_);
    return items_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> items_;
};

struct Answer {
  int status = 0;
  std::string head;
  std::string body;

  bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer_bytes > 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    const timeval patience{kPatience_s, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_), input_(std::move(other.input_)) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() { close(); }

  bool connected() const { return connected_; }

  // False when the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  void get(std::string_view path) { send("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n"); }

  void shutdown_send() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  // Up to and with the text; what was received when it never comes.
  std::string read_until(std::string_view text) {
    std::size_t at = 0;
    while ((at = input_.find(text)) == std::string::npos) {
      if (!receive()) return std::exchange(input_, {});
    }
    return take(at + text.size());
  }

  std::string read_bytes(std::size_t size) {
    while (input_.size() < size && receive()) {
    }
    return take(std::min(size, input_.size()));
  }

  std::string read_to_end() {
    while (receive()) {
    }
    return std::exchange(input_, {});
  }

  // The server closed, properly or with a reset, and sent nothing before that.
  bool sees_close() { return read_to_end().empty() && !timed_out_; }

  Answer read_head() {
    Answer answer;
    answer.head = read_until("\r\n\r\n");
    if (answer.head.size() > 12) answer.status = std::atoi(answer.head.c_str() + 9);
    return answer;
  }

  // With a body of Content-Length bytes or of chunks.
  Answer read_answer() {
    Answer answer = read_head();
    if (const std::size_t at = answer.head.find("Content-Length: "); at != std::string::npos) {
      answer.body = read_bytes(std::strtoul(answer.head.c_str() + at + 16, nullptr, 10));
    } else if (answer.has("Transfer-Encoding: chunked")) {
      for (std::string chunk = read_chunk(); !chunk.empty(); chunk = read_chunk()) answer.body += chunk;
    }
    return answer;
  }

  // One chunk's bytes; empty at the last chunk or at the end of the connection.
  std::string read_chunk() {
    const std::size_t size = std::strtoul(read_until("\r\n").c_str(), nullptr, 16);
    std::string bytes = read_bytes(size);
    read_until("\r\n");
    return bytes;
  }

 private:
  bool receive() {
    char bytes[16 * 1024];
    const ssize_t size = ::recv(fd_, bytes, sizeof bytes, 0);
    timed_out_ = size < 0 && errno != ECONNRESET;
    if (size <= 0) return false;
    input_.append(bytes, static_cast<std::size_t>(size));
    return true;
  }

  std::string take(std::size_t size) {
    std::string bytes = input_.substr(0, size);
    input_.erase(0, size);
    return bytes;
  }

  int fd_;
  bool connected_ = false;
  bool timed_out_ = false;
  std::string input_;
};

// Says what was asked, so that tests see what arrived.
inline void echo(const Request& request, const std::shared_ptr<Exchange>& exchange) {
  exchange->respond(200, "text/plain", request.method + " " + request.path + "?" + request.query + " " + request.body);
}

class TestServer {
 public:
  explicit TestServer(Handler handler = echo, Options options = {}) {
    if (options.unix_socket.empty()) options.port = 0;
    auto listening = Server::listen(std::move(options), std::move(handler));
    if (!listening) {
      ADD_FAILURE() << listening.error().message;
      std::abort();
    }
    server_ = *std::move(listening);
    thread_ = std::thread([this] { server_->run(); });
  }
  ~TestServer() { stop(); }

  // Cuts off what still runs.
  void stop() {
    if (!thread_.joinable()) return;
    server_->drain(0);
    server_->drain(0);
    join();
  }

  Server& operator*() { return *server_; }
  Server* operator->() { return server_.get(); }
  std::uint16_t port() const { return server_->port(); }
  RawClient client() const { return RawClient(server_->port()); }
  void join() { thread_.join(); }  // returns when run() does

 private:
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

// A T with a few members set: with<Options>([&](auto& o) { o.port = 0; }).
template <typename T, typename Set>
T with(Set set) {
  T value;
  set(value);
  return value;
}

// Hands requests to the test, which answers them itself.
struct Caught {
  Request request;
  std::shared_ptr<Exchange> exchange;
};

inline Handler catch_into(Inbox<Caught>& inbox) {
  return [&inbox](Request request, std::shared_ptr<Exchange> exchange) {
    inbox.put({std::move(request), std::move(exchange)});
  };
}

}  // namespace kvern::http::test
