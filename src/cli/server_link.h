// A server to talk to: one that runs, or one of our own that ends with us. Thread: main.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/temp_folder.h"
#include "http/client.h"

namespace kvern::cli {

// Where `kvern serve` listens when it is not told.
inline constexpr std::string_view kUsualServer = "http://127.0.0.1:8080";

// What /health says, if something answers at all.
struct HealthAnswer {
  int status = 0;
  bool is_kvern = false;
  std::string model;
  bool is_loading = false;  // a kvern that has no model yet
  std::int64_t running = 0;
  std::int64_t waiting = 0;
};

// Nothing when nobody listens or what listens speaks no HTTP.
std::optional<HealthAnswer> ask_health(const std::string& address, int timeout_ms);

// The file of the program that runs.
Result<std::string> own_executable();

http::Headers headers_with_key(const std::string& api_key);

// What a GET there answers; an error as the server words it unless that is a 200.
Result<std::string> get_body(const std::string& address, const std::string& target, const std::string& api_key);

struct ServedModel {
  std::string id;
  std::int32_t context = 0;  // tokens one conversation may hold; 0 when the server does not say
};

// The first of /v1/models.
Result<ServedModel> first_model(const std::string& address, const std::string& api_key);

// What a server of our own is told; empty or 0: its own default, or what KVERN_* variables say.
struct OwnServerOptions {
  std::string model;
  std::string context;
  enum class Listen { socket, port } listen = Listen::socket;
};

// `kvern serve` in a process of its own, on a socket in a folder of its own or on a free port of this
// machine. Ctrl-C in the terminal does not reach it; it ends with this object, or with us. On a socket
// it talks to our stderr, on a port to a file that stays.
class OwnServer {
 public:
  static Result<OwnServer> start(const OwnServerOptions& options);
  OwnServer(OwnServer&& other) noexcept;
  OwnServer& operator=(OwnServer&&) = delete;
  ~OwnServer();

  // Known when it is ready.
  const std::string& address() const { return address_; }
  const std::string& log_path() const { return log_path_; }
  pid_t pid() const { return pid_; }
  // Until /health is fine. Code::failed when it ended first (it has said why), Code::cancelled
  // when interrupts is not 0: what came before the call counts, too. on_wait is called again and
  // again meanwhile.
  Status wait_until_ready(const volatile int& interrupts, const std::function<void()>& on_wait = {});

 private:
  OwnServer() = default;
  bool found_address();
  Error end_of_start(int status) const;

  pid_t pid_ = -1;
  std::optional<TempFolder> folder_;
  std::string address_;
  std::string log_path_;
};

}  // namespace kvern::cli
