// The HTTP server: sockets, limits, timeouts, server-sent events. Knows no LLM word.
//
// One thread (`net`) runs everything here: whoever calls Server::run(). A handler must not block;
// it hands work away and answers later through the Exchange, from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "http/sse.h"

namespace kvern::http {

class Feed;
class Loop;

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;  // "GET", "POST", ...
  std::string path;    // percent-decoded, without the query
  std::string query;   // raw, without '?'
  Headers headers;     // names in lower case
  std::string body;
  std::string peer;  // "127.0.0.1:51234", "unix"

  std::string_view header(std::string_view lower_case_name) const;  // "" when absent
};

// One request and its answer: respond() once, or start_stream(), write()s and finish().
//
// Or follow() a feed.
//
// Every method may be called from any thread and returns at once; calls take effect in order on
// the net thread. Calls after the client left are ignored.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual void respond(int status, std::string content_type, std::string body, Headers extra = {}) = 0;

  // 200 text/event-stream. Until finish(), ping (a whole event or comment; of static lifetime) is sent
  // whenever nothing else was for limits::kPingInterval_ms, so that clients and proxies see life.
  virtual void start_stream(Headers extra = {}, std::string_view ping = kSsePing) = 0;
  virtual void write(std::string bytes) = 0;  // whole events framed by sse.h: a ping may follow any
  virtual void finish() = 0;

  // Instead of all that: 200 text/event-stream that says what the feed publishes, until the client leaves or the
  // server stops. The exchange is over; the feed knows of the client.
  virtual void follow(std::shared_ptr<Feed> feed) = 0;

  // Bytes given to write() and not yet taken by the socket. A producer pauses above
  // limits::kStreamBufferBytes and goes on at on_room.
  virtual std::size_t unsent_bytes() const = 0;
  virtual bool closed() const = 0;

  // Runs the function on the net thread, after everything posted before it.
  virtual void run_on_net(std::function<void()> function) = 0;

  // Callbacks run on the net thread; set them before starting work. They are dropped once the
  // exchange is over, so they may hold what holds the exchange.
  // unsent_bytes() fell below half of limits::kStreamBufferBytes after having been above it.
  virtual void on_room(std::function<void()> callback) = 0;
  // The client left, or a timeout or limit ended the connection, before the answer was complete.
  // Called at once when that has already happened.
  virtual void on_close(std::function<void()> callback) = 0;
};

using Handler = std::function<void(Request request, std::shared_ptr<Exchange> exchange)>;

// Makes the answer to a request that never reached the handler (malformed, too large, too slow). path is
// empty when the request line was not read.
using ErrorBody = std::function<std::string(int status, const Error& error, std::string_view path)>;

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free one
  std::string unix_socket;    // path; when set, host and port are unused
  ErrorBody error_body;       // JSON text; a plain default when unset

  // From limits.h; tests make them small.
  std::size_t header_bytes_max = limits::kHeaderBytes;
  std::size_t body_bytes_max = limits::kBodyBytes;
  std::size_t connections_max = limits::kConnections;
  int header_timeout_ms = limits::kHeaderTimeout_ms;
  int body_timeout_ms = limits::kBodyTimeout_ms;
  int idle_timeout_ms = limits::kIdleTimeout_ms;
  int write_timeout_ms = limits::kWriteTimeout_ms;
  int ping_interval_ms = limits::kPingInterval_ms;
};

class Server {
 public:
  // Binds and listens. Errors name the flag: a busy port says so, and what to do.
  static Result<std::unique_ptr<Server>> listen(Options options, Handler handler);
  virtual ~Server() = default;

  virtual std::uint16_t port() const = 0;   // the real one
  virtual std::string address() const = 0;  // "http://127.0.0.1:8080", "unix:/run/kvern.sock"

  // Serves until stopped. The calling thread becomes `net`.
  virtual void run() = 0;

  // Thread: any, also from run()'s own handlers. Stops accepting, lets running exchanges end, then
  // ends run(); after timeout_ms what still runs is cut off. A second call cuts off at once.
  virtual void drain(int timeout_ms) = 0;

  // Runs the function on the net thread.
  virtual void post(std::function<void()> function) = 0;

  // The net thread's, for timers and feeds, which end before the server does.
  virtual std::shared_ptr<Loop> loop() const = 0;

  // Calls the function on the net thread when the process gets SIGTERM or SIGINT (each time).
  virtual void on_signal(std::function<void(int signal)> callback) = 0;
};

}  // namespace kvern::http
