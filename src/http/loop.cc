// One thread runs the loop, so handlers need no fences between them, which ThreadSanitizer could
// not follow (and GCC refuses to compile under it).
#define BOOST_ASIO_DISABLE_FENCED_BLOCK

#include "http/loop.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <deque>
#include <exception>
#include <mutex>

#include "base/log.h"

namespace kvern::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;
using TimePoint = std::chrono::steady_clock::time_point;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr int kAcceptPause_ms = 100;

std::string peer_name(const Protocol::endpoint& endpoint) {
  const auto* address = reinterpret_cast<const sockaddr*>(endpoint.data());
  char text[INET6_ADDRSTRLEN] = "";
  if (endpoint.size() >= sizeof(sockaddr_in) && address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v4->sin_port));
  }
  if (endpoint.size() >= sizeof(sockaddr_in6) && address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6->sin6_port));
  }
  return "unix";
}

// What a pending operation needs is held by the operation; the owner's object only points to it.
struct TimerState : std::enable_shared_from_this<TimerState> {
  TimerState(asio::io_context& io, std::function<void()> end) : timer(io), on_end(std::move(end)) {}

  void wait() {
    waiting = true;
    waits_for = deadline;
    timer.expires_at(deadline);  // cancels the wait before, if any
    timer.async_wait([self = shared_from_this(), wait = ++waits](error_code ec) {
      if (!ec && wait == self->waits) self->ended();
    });
  }

  void ended() {
    waiting = false;
    if (!active) return;
    if (std::chrono::steady_clock::now() < deadline) return wait();  // it was moved meanwhile
    active = false;
    on_end();
  }

  asio::steady_timer timer;
  std::function<void()> on_end;
  TimePoint deadline;
  TimePoint waits_for;
  unsigned waits = 0;
  bool active = false;   // the owner wants on_end
  bool waiting = false;  // an operation is pending, perhaps for an earlier deadline
};

class AsioTimer final : public Timer {
 public:
  AsioTimer(asio::io_context& io, std::function<void()> on_end)
      : state_(std::make_shared<TimerState>(io, std::move(on_end))) {}
  ~AsioTimer() override {
    state_->active = false;
    ++state_->waits;
    error_code ignored;
    state_->timer.cancel(ignored);
  }

  void start(int after_ms) override {
    state_->active = true;
    state_->deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(after_ms);
    if (!state_->waiting || state_->deadline < state_->waits_for) state_->wait();
  }
  void stop() override { state_->active = false; }

 private:
  std::shared_ptr<TimerState> state_;
};

struct SocketState {
  explicit SocketState(Protocol::socket connected) : socket(std::move(connected)) {}
  Protocol::socket socket;
  SocketEvents* events = nullptr;  // null once the owner let go
};

class AsioSocket final : public Socket {
 public:
  AsioSocket(Protocol::socket socket, std::shared_ptr<std::string> scratch)
      : state_(std::make_shared<SocketState>(std::move(socket))), scratch_(std::move(scratch)) {
    error_code ignored;
    const Protocol::endpoint remote = state_->socket.remote_endpoint(ignored);
    peer_ = peer_name(remote);
    state_->socket.non_blocking(true, ignored);
    if (peer_ != "unix") {
      state_->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      state_->socket.set_option(asio::socket_base::keep_alive(true), ignored);
    }
  }
  ~AsioSocket() override {
    state_->events = nullptr;
    error_code ignored;
    state_->socket.close(ignored);
  }

  void attach(SocketEvents& events) override { state_->events = &events; }

  // Waits for readability only and reads into the loop's buffer: an idle connection costs no buffer.
  void read() override {
    reading_ = true;
    state_->socket.async_wait(Protocol::socket::wait_read, [this, state = state_](error_code ec) {
      if (state->events == nullptr) return;
      std::size_t size = 0;
      if (!ec) size = state->socket.read_some(asio::buffer(*scratch_), ec);
      if (ec == asio::error::would_block || ec == asio::error::interrupted) return read();
      reading_ = false;
      if (ec == asio::error::eof) return state->events->on_eof();
      if (ec) return state->events->on_error();
      state->events->on_bytes(std::string_view(scratch_->data(), size));
    });
  }

  void write(std::string_view bytes) override {
    state_->socket.async_write_some(asio::buffer(bytes.data(), bytes.size()),
                                    [state = state_](error_code ec, std::size_t size) {
                                      if (state->events == nullptr) return;
                                      if (ec) return state->events->on_error();
                                      state->events->on_sent(size);
                                    });
  }

  void end_sending() override {
    error_code ignored;
    state_->socket.shutdown(Protocol::socket::shutdown_send, ignored);
  }

  const std::string& peer() const override { return peer_; }

 private:
  std::shared_ptr<SocketState> state_;
  std::shared_ptr<std::string> scratch_;
  std::string peer_;
};

using OnConnection = std::function<void(std::unique_ptr<Socket>)>;

struct ListenerState : std::enable_shared_from_this<ListenerState> {
  ListenerState(asio::io_context& io, std::shared_ptr<std::string> read_buffer, OnConnection callback)
      : acceptor(io), pause(io), scratch(std::move(read_buffer)), on_connection(std::move(callback)) {}

  void accept() {
    acceptor.async_accept([self = shared_from_this()](error_code ec, Protocol::socket socket) {
      if (!self->acceptor.is_open()) return;
      if (ec) return self->accept_later(ec);
      run_guarded([&] { self->on_connection(std::make_unique<AsioSocket>(std::move(socket), self->scratch)); });
      if (self->acceptor.is_open()) self->accept();
    });
  }

  // Out of descriptors, mostly: trying at once would spin until one is free.
  void accept_later(error_code why) {
    log::warn("accept", {{"error", why.message()}});
    pause.expires_after(std::chrono::milliseconds(kAcceptPause_ms));
    pause.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec && self->acceptor.is_open()) self->accept();
    });
  }

  asio::basic_socket_acceptor<Protocol> acceptor;
  asio::steady_timer pause;
  std::shared_ptr<std::string> scratch;
  OnConnection on_connection;
};

class AsioListener final : public Listener {
 public:
  explicit AsioListener(std::shared_ptr<ListenerState> state) : state_(std::move(state)) {}
  ~AsioListener() override {
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel(ignored);
  }

 private:
  std::shared_ptr<ListenerState> state_;
};

class AsioLoop final : public Loop {
 public:
  void run() override {
    const auto work = asio::make_work_guard(io_);
    for (;;) {
      try {
        io_.run();
        break;
      } catch (const std::exception& e) {
        log::error("net", {{"exception", e.what()}});
      } catch (...) {
        log::error("net", {{"exception", "of an unknown type"}});
      }
    }
    close_posted();
  }

  void stop() override { io_.stop(); }

  void post(std::function<void()> function) override {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      posted_.push_back(std::move(function));
      if (posted_.size() > 1) return;  // a wake-up is on its way
    }
    asio::post(io_, [this] { run_posted(); });
  }

  std::unique_ptr<Timer> timer(std::function<void()> on_end) override {
    return std::make_unique<AsioTimer>(io_, std::move(on_end));
  }

  std::unique_ptr<Listener> accept(int listening_fd, OnConnection on_connection) override {
    auto state = std::make_shared<ListenerState>(io_, scratch_, std::move(on_connection));
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(listening_fd, reinterpret_cast<sockaddr*>(&address), &size);
    state->acceptor.assign(Protocol(address.ss_family, 0), listening_fd);
    state->acceptor.non_blocking(true);
    state->accept();
    return std::make_unique<AsioListener>(std::move(state));
  }

  void on_signal(std::function<void(int)> callback) override {
    on_signal_ = std::move(callback);
    if (signals_) return;
    signals_ = std::make_unique<asio::signal_set>(io_, SIGTERM, SIGINT);
    wait_for_signal();
  }

 private:
  void run_posted() {
    std::deque<std::function<void()>> batch;
    {
      const std::lock_guard lock(mutex_);
      batch.swap(posted_);
    }
    for (auto& function : batch) {
      run_guarded(function);
      function = nullptr;  // what it held is let go in order
    }
  }

  // Posted functions hold exchanges and those hold this loop; kept, they would hold each other.
  void close_posted() {
    run_posted();
    std::deque<std::function<void()>> dropped;
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(posted_);
  }

  void wait_for_signal() {
    signals_->async_wait([this](error_code ec, int signal) {
      if (ec) return;
      run_guarded([&] { on_signal_(signal); });
      wait_for_signal();
    });
  }

  asio::io_context io_{1};
  std::shared_ptr<std::string> scratch_ = std::make_shared<std::string>(kReadBytes, '\0');
  std::unique_ptr<asio::signal_set> signals_;
  std::function<void(int)> on_signal_;
  std::mutex mutex_;
  std::deque<std::function<void()>> posted_;
  bool stopped_ = false;
};

}  // namespace

void run_guarded(const std::function<void()>& function) {
  try {
    function();
  } catch (const std::exception& e) {
    log::error("callback", {{"exception", e.what()}});
  } catch (...) {
    log::error("callback", {{"exception", "of an unknown type"}});
  }
}

std::shared_ptr<Loop> Loop::create() { return std::make_shared<AsioLoop>(); }

}  // namespace kvern::http
