#include "http/server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "http/connection.h"
#include "http/listen_socket.h"
#include "http/loop.h"

namespace kvern::http {
namespace {

// Beyond the limit a few more are taken, to tell them so; past these they are just closed.
constexpr std::size_t kRefusalsAtOnce = 64;

constexpr rlim_t kOtherFiles = 512;  // of the program, beside its connections

// A connection is a file, and what a program is given at first is often less than what it may have.
void allow_files(std::size_t connections_max) {
  const rlim_t wanted = connections_max + kRefusalsAtOnce + kOtherFiles;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, wanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

class NetServer final : public Server {
 public:
  NetServer(Options options, Handler handler, ListenSocket socket)
      : loop_(Loop::create()), listen_socket_(std::move(socket)) {
    owner_.loop = loop_;
    owner_.options = std::move(options);
    owner_.handler = std::move(handler);
    owner_.on_closed = [this](Connection& connection) { bury(connection); };
    drain_deadline_ = loop_->timer([this] { cut(); });
    listener_ =
        loop_->accept(listen_socket_.release(), [this](std::unique_ptr<Socket> client) { welcome(std::move(client)); });
  }

  std::uint16_t port() const override { return listen_socket_.port(); }
  std::string address() const override { return listen_socket_.address(); }

  void run() override {
    loop_->run();
    stop_accepting();
    cut();
    buried_.clear();
  }

  void drain(int timeout_ms) override {
    loop_->post([this, timeout_ms] { begin_drain(timeout_ms); });
  }

  void post(std::function<void()> function) override { loop_->post(std::move(function)); }

  std::shared_ptr<Loop> loop() const override { return loop_; }

  void on_signal(std::function<void(int)> callback) override { loop_->on_signal(std::move(callback)); }

 private:
  void welcome(std::unique_ptr<Socket> client) {
    const std::size_t limit = owner_.options.connections_max;
    if (connections_.size() >= limit + kRefusalsAtOnce) return;
    const bool refused = connections_.size() >= limit;
    const auto connection = std::make_shared<Connection>(owner_, std::move(client));
    connections_.emplace(connection.get(), connection);
    if (refused) {
      connection->refuse();
    } else {
      connection->start();
    }
  }

  // Its member functions may still be running below us.
  void bury(Connection& connection) {
    const auto found = connections_.find(&connection);
    if (found == connections_.end()) return;
    if (buried_.empty()) loop_->post([this] { buried_.clear(); });
    buried_.push_back(std::move(found->second));
    connections_.erase(found);
    if (owner_.draining && connections_.empty()) loop_->stop();
  }

  void begin_drain(int timeout_ms) {
    if (owner_.draining) return cut();
    owner_.draining = true;
    stop_accepting();
    for (const auto& connection : all_connections()) connection->drain();
    if (connections_.empty()) return loop_->stop();
    drain_deadline_->start(timeout_ms);
  }

  void cut() {
    owner_.draining = true;
    for (const auto& connection : all_connections()) connection->close();
    loop_->stop();
  }

  void stop_accepting() {
    listener_.reset();
    listen_socket_.remove_file();
  }

  // A copy: closing one changes the map.
  std::vector<std::shared_ptr<Connection>> all_connections() const {
    std::vector<std::shared_ptr<Connection>> all;
    for (const auto& [address, connection] : connections_) all.push_back(connection);
    return all;
  }

  const std::shared_ptr<Loop> loop_;
  ConnectionOwner owner_;
  ListenSocket listen_socket_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Timer> drain_deadline_;
  std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Connection>> buried_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(Options options, Handler handler) {
  // A client that left, or a closed stderr, must be an error code and not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  allow_files(options.connections_max);
  TRY(ListenSocket socket, options.unix_socket.empty() ? ListenSocket::on_tcp(options.host, options.port)
                                                       : ListenSocket::on_unix(options.unix_socket));
  try {
    return std::make_unique<NetServer>(std::move(options), std::move(handler), std::move(socket));
  } catch (const std::exception& e) {
    return fail(Code::failed, fmt::format("cannot start the network loop: {}", e.what()));
  }
}

}  // namespace kvern::http
