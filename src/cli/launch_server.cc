#include "cli/launch_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <utility>

#include "cli/terminal.h"

namespace kvern::cli {
namespace {

constexpr int kHealthTimeout_ms = 2'000;
constexpr int kLoadingPoll_ms = 200;
constexpr int kMissesBorne = 5;  // in a row: a machine that reads a large model may be slow to answer
constexpr std::int32_t kGuessedContext = 32'768;

// "starting ... 12 s", redrawn on a terminal, said once elsewhere.
class Waiting {
 public:
  explicit Waiting(std::string what) : what_(std::move(what)) {
    if (!is_terminal(STDERR_FILENO)) say(what_);
  }
  void tick() {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    line_.show(fmt::format("{}  {:.0f} s", what_, elapsed.count()));
  }
  void end() { line_.clear(); }

 private:
  std::string what_;
  ProgressLine line_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// A file's server goes by the file's name unless it was given another.
bool is_model(const std::string& wanted, const std::string& served) {
  return wanted == served || std::filesystem::path(wanted).stem().string() == served;
}

Result<LaunchServer> describe(const LaunchOptions& options, std::string address) {
  LaunchServer server;
  server.address = std::move(address);
  auto model = first_model(server.address, options.api_key);
  if (!model && model.error().code == Code::unauthorized) {
    return fail(Code::unauthorized,
                options.api_key.empty()
                    ? fmt::format("the server at {} needs a key: set KVERN_API_KEY or give --api-key", server.address)
                    : fmt::format("the server at {} does not take this key", server.address),
                options.api_key.empty() ? "" : "--api-key");
  }
  if (!model) return tl::unexpected(std::move(model.error()));
  server.model = model->id;
  server.context = model->context;
  return server;
}

// The context the client is told: the server's, or less where the user says so.
Status settle_context(const LaunchOptions& options, LaunchServer& server) {
  if (server.context == 0 && !options.context_tokens) {
    return fail(Code::invalid, fmt::format("{} does not say how long its context is; say it", server.address),
                "--context");
  }
  if (!options.context_tokens || server.own) return {};
  if (server.context > 0 && *options.context_tokens > server.context) {
    return fail(Code::invalid,
                fmt::format("the server at {} holds {} tokens a conversation; for more, start it with --context {}",
                            server.address, server.context, options.context),
                "--context");
  }
  if (server.context != *options.context_tokens)
    server.remarks.push_back(
        fmt::format("the client is told {} tokens, the server has {}", *options.context_tokens, server.context));
  server.context = *options.context_tokens;
  return {};
}

// Until it has its model.
Status wait_while_loading(const std::string& address, HealthAnswer& health, const volatile int& interrupts) {
  Waiting waiting(fmt::format("the server at {} loads its model", address));
  int misses = 0;
  while (health.is_loading && interrupts == 0 && misses <= kMissesBorne) {
    waiting.tick();
    std::this_thread::sleep_for(std::chrono::milliseconds(kLoadingPoll_ms));
    const auto next = ask_health(address, kHealthTimeout_ms);
    misses = next ? 0 : misses + 1;
    if (next) health = *next;
  }
  waiting.end();
  if (interrupts != 0) return fail(Code::cancelled, "stopped while the model was loading");
  if (misses > 0)
    return fail(Code::failed, fmt::format("the server at {} was loading its model and answers no more", address));
  return {};
}

LaunchServer guess(const LaunchOptions& options, const std::string& why) {
  LaunchServer server;
  server.address = options.server.empty() ? std::string(kUsualServer) : options.server;
  server.model = options.model.empty() ? "default" : std::filesystem::path(options.model).stem().string();
  server.context = options.context_tokens.value_or(kGuessedContext);
  server.remarks.push_back(fmt::format("{}: address, model and context are guesses here", why));
  return server;
}

Result<LaunchServer> start_own(const LaunchOptions& options, std::string why, const volatile int& interrupts) {
  OwnServerOptions wanted;
  wanted.model = options.model;
  wanted.context = options.context;
  wanted.listen = OwnServerOptions::Listen::port;
  // Its environment is ours: the key reaches it, and nobody sees it in a list of processes.
  if (!options.api_key.empty()) ::setenv("KVERN_API_KEY", options.api_key.c_str(), 1);
  TRY(OwnServer own, OwnServer::start(wanted));
  Waiting waiting(fmt::format("{}; starting one for this run (log: {})", why, own.log_path()));
  const Status ready = own.wait_until_ready(interrupts, [&] { waiting.tick(); });
  waiting.end();
  TRY_OK(ready);
  TRY(LaunchServer server, describe(options, own.address()));
  server.remarks.push_back(fmt::format("{}, so one was started for this run; its log is {}", why, own.log_path()));
  server.own.emplace(std::move(own));
  TRY_OK(settle_context(options, server));
  return server;
}

}  // namespace

Result<LaunchServer> find_launch_server(const LaunchOptions& options, const volatile int& interrupts) {
  const bool named = !options.server.empty();
  const std::string address = named ? options.server : std::string(kUsualServer);
  const bool only_look = options.show != LaunchOptions::Show::nothing;
  auto health = ask_health(address, kHealthTimeout_ms);
  if (health && health->is_loading) TRY_OK(wait_while_loading(address, *health, interrupts));
  std::string why = fmt::format("no server answers at {}", address);
  if (health && !health->is_kvern) why = fmt::format("what answers at {} is not kvern", address);
  if (health && health->is_kvern) {
    TRY(LaunchServer server, describe(options, address));
    if (options.model.empty() || is_model(options.model, server.model)) {
      TRY_OK(settle_context(options, server));
      return server;
    }
    why = fmt::format("the server at {} has {}, not {}", address, server.model, options.model);
    if (named) return fail(Code::invalid, why, "--model");
  } else if (named && !only_look) {
    return fail(Code::not_found, fmt::format("{}; start one with `kvern serve`", why), options.server_origin);
  }
  if (only_look) return guess(options, why);
  return start_own(options, std::move(why), interrupts);
}

}  // namespace kvern::cli
