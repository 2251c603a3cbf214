// The event loop, its sockets and timers: all of Asio the server uses, behind interfaces that cost
// nothing to include.
//
// Thread: the one that calls Loop::run() ("net"); Loop::post() alone may be called from any.
// Destroying a Socket or Timer ends it: nothing is called on its owner afterwards, so owners need
// not outlive what is pending.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace kvern::http {

class Timer {
 public:
  virtual ~Timer() = default;
  // Replaces what was set before. Cheap when the new end is not sooner than the old one.
  virtual void start(int after_ms) = 0;
  virtual void stop() = 0;
};

class SocketEvents {
 public:
  virtual void on_bytes(std::string_view bytes) = 0;  // valid during the call
  virtual void on_eof() = 0;
  virtual void on_sent(std::size_t bytes) = 0;
  virtual void on_error() = 0;  // reset or broken; nothing more comes

 protected:
  ~SocketEvents() = default;
};

class Socket {
 public:
  virtual ~Socket() = default;  // closes

  virtual void attach(SocketEvents& events) = 0;
  // One of on_bytes, on_eof and on_error follows, never during the call. Holds no buffer meanwhile.
  virtual void read() = 0;
  bool reading() const { return reading_; }
  // on_sent (with at least one byte) or on_error follows, never during the call; bytes stay valid
  // until then. One write at a time.
  virtual void write(std::string_view bytes) = 0;
  virtual void end_sending() = 0;
  virtual const std::string& peer() const = 0;  // "127.0.0.1:51234", "[::1]:51234", "unix"

 protected:
  bool reading_ = false;
};

class Listener {
 public:
  virtual ~Listener() = default;  // closes
};

class Loop {
 public:
  static std::shared_ptr<Loop> create();
  virtual ~Loop() = default;

  // Until stop(). Exceptions of what it runs are logged and do not end it.
  virtual void run() = 0;
  virtual void stop() = 0;

  // Functions run in the order they were posted. After stop() they are dropped unrun.
  virtual void post(std::function<void()> function) = 0;

  virtual std::unique_ptr<Timer> timer(std::function<void()> on_end) = 0;
  // Takes the descriptor of a listening socket.
  virtual std::unique_ptr<Listener> accept(int listening_fd,
                                           std::function<void(std::unique_ptr<Socket>)> on_connection) = 0;
  // SIGTERM and SIGINT, each time.
  virtual void on_signal(std::function<void(int)> callback) = 0;
};

// Runs the function and logs what it throws: one bad callback must not end the loop.
void run_guarded(const std::function<void()>& function);

}  // namespace kvern::http
