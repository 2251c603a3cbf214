// A server to talk to: one that runs, or one of our own that ends with us. Thread: main.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/client.h"

namespace kvern::cli {

// What /health says, if something answers at all.
struct HealthAnswer {
  int status = 0;
  bool is_kvern = false;
  std::string model;
};

// Nothing when nobody listens or what listens speaks no HTTP.
std::optional<HealthAnswer> ask_health(const std::string& address, int timeout_ms);

http::Headers headers_with_key(const std::string& api_key);

// The id of the first model of /v1/models.
Result<std::string> first_model(const std::string& address, const std::string& api_key);

// `kvern serve` in a process of its own, on a socket in a folder of its own. Ctrl-C in the
// terminal does not reach it; it ends with this object, or with us.
class OwnServer {
 public:
  static Result<OwnServer> start(const std::string& model);
  OwnServer(OwnServer&& other) noexcept;
  OwnServer& operator=(OwnServer&&) = delete;
  ~OwnServer();

  std::string address() const { return "unix:" + socket_; }
  pid_t pid() const { return pid_; }
  // Until /health is fine. Code::failed when it ended first (it has said why), Code::cancelled
  // when stop says so.
  Status wait_until_ready(const volatile int& interrupts);

 private:
  OwnServer(pid_t pid, std::string folder) : pid_(pid), folder_(std::move(folder)), socket_(folder_ + "/sock") {}

  pid_t pid_;
  std::string folder_;
  std::string socket_;
};

}  // namespace kvern::cli
