#include "cli/server_link.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "base/json.h"
#include "cli/child_process.h"
#include "cli/conversation.h"
#include "cli/exit_code.h"
#include "cli/terminal.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kPoll_ms = 20;
constexpr int kGoodbye_ms = 10'000;  // for what the server still writes

void pause_ms(int duration_ms) { std::this_thread::sleep_for(std::chrono::milliseconds(duration_ms)); }

std::int64_t count_in(const Json& body, const char* name) {
  const auto value = body.find(name);
  return value != body.end() && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

// The last lines of a log, without the times in front.
std::string end_of(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return without_controls(last);
}

std::vector<std::string> serve_words(const std::string& program, const OwnServerOptions& options) {
  std::vector<std::string> argv = {program, "serve"};
  if (!options.model.empty()) argv.insert(argv.end(), {"--model", options.model});
  if (!options.context.empty()) argv.insert(argv.end(), {"--context", options.context});
  return argv;
}

}  // namespace

Result<std::string> own_executable() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(Code::failed, fmt::format("kvern cannot find its own file: {}", error.message()));
  return path.string();
}

std::optional<HealthAnswer> ask_health(const std::string& address, int timeout_ms) {
  http::ClientRequest request;
  request.address = address;
  request.target = "/health";
  request.timeout_ms = timeout_ms;
  const auto response = http::fetch(request);
  if (!response) return std::nullopt;
  HealthAnswer answer;
  answer.status = response->status;
  const auto body = parse_json(response->body);
  if (!body || !body->is_object()) return answer;
  answer.is_kvern = body->contains("running") && body->contains("waiting");
  answer.is_loading = answer.status == 503 && response->body.find("the model is still loading") != std::string::npos;
  answer.running = count_in(*body, "running");
  answer.waiting = count_in(*body, "waiting");
  if (const auto model = body->find("model"); model != body->end() && model->is_string()) {
    answer.model = model->get<std::string>();
  }
  return answer;
}

http::Headers headers_with_key(const std::string& api_key) {
  http::Headers headers;
  if (!api_key.empty()) headers.emplace_back("authorization", "Bearer " + api_key);
  return headers;
}

Result<std::string> get_body(const std::string& address, const std::string& target, const std::string& api_key) {
  http::ClientRequest request;
  request.address = address;
  request.target = target;
  request.headers = headers_with_key(api_key);
  TRY(http::ClientResponse response, http::fetch(request));
  if (response.status != 200) return tl::unexpected(refused(response.status, response.body));
  return std::move(response.body);
}

Result<ServedModel> first_model(const std::string& address, const std::string& api_key) {
  TRY(const std::string answer, get_body(address, "/v1/models", api_key));
  TRY(const Json body, parse_json(answer));
  const auto data = body.is_object() ? body.find("data") : body.end();
  if (data == body.end() || !data->is_array() || data->empty() || !data->front().is_object() ||
      !data->front().contains("id") || !data->front()["id"].is_string()) {
    return fail(Code::not_found, fmt::format("{} lists no model", address));
  }
  ServedModel model{data->front()["id"].get<std::string>(), 0};
  const std::int64_t context = count_in(data->front(), "context_length");
  if (context > 0 && context <= INT32_MAX) model.context = static_cast<std::int32_t>(context);
  return model;
}

Result<OwnServer> OwnServer::start(const OwnServerOptions& options) {
  TRY(const std::string program, own_executable());
  OwnServer server;
  std::vector<std::string> argv = serve_words(program, options);
  ChildSetup setup;
  setup.group = Group::own;
  if (options.listen == OwnServerOptions::Listen::socket) {
    TRY(TempFolder folder, TempFolder::make("kvern"));
    const std::string socket = folder.path() + "/sock";
    server.folder_.emplace(std::move(folder));
    server.address_ = "unix:" + socket;
    argv.insert(argv.end(), {"--unix-socket", socket, "--log-level", "warn"});
    TRY(server.pid_, start_child(argv, setup));
    return server;
  }
  TRY(const TempFile log, make_temp_file("kvern-serve"));
  server.log_path_ = log.path;
  // Said, because KVERN_* variables and a config file may say otherwise. The address is read from the log.
  argv.insert(argv.end(), {"--host", "127.0.0.1", "--port", "0", "--unix-socket", "", "--log-level", "info",
                           "--log-format", "text"});
  setup.output_fd = log.fd;
  auto pid = start_child(argv, setup);
  ::close(log.fd);
  if (!pid) return tl::unexpected(std::move(pid.error()));
  server.pid_ = *pid;
  return server;
}

OwnServer::OwnServer(OwnServer&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      folder_(std::move(other.folder_)),
      address_(std::move(other.address_)),
      log_path_(std::move(other.log_path_)) {}

OwnServer::~OwnServer() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGTERM);
  int ignored_status = 0;
  int rounds = kGoodbye_ms / kPoll_ms;
  while (child_runs(pid_, ignored_status) && --rounds > 0) pause_ms(kPoll_ms);
  if (rounds > 0) return;
  ::kill(-pid_, SIGKILL);
  wait_for_child(pid_);
}

// On a socket it is known from the start, and there as soon as the socket is.
bool OwnServer::found_address() {
  if (folder_) return fs::exists(folder_->path() + "/sock");
  if (!address_.empty()) return true;
  constexpr std::string_view kMark = " ready address=";
  std::ifstream file(log_path_);
  for (std::string line; std::getline(file, line);) {
    const std::size_t at = line.find(kMark);
    if (at == std::string::npos || file.eof()) continue;  // a line without its end is not whole yet
    address_ = line.substr(at + kMark.size());
    address_.resize(std::min(address_.find(' '), address_.size()));
    return true;
  }
  return false;
}

Error OwnServer::end_of_start(int status) const {
  const Code code = status == kCannotStart ? Code::not_found : status == kUsage ? Code::invalid : Code::failed;
  if (log_path_.empty()) return {code, "the server for this chat did not start; its reason is above", {}};
  return {code, fmt::format("the server did not start; {} ends with: {}", log_path_, end_of(log_path_)), {}};
}

Status OwnServer::wait_until_ready(const volatile int& interrupts, const std::function<void()>& on_wait) {
  for (;;) {
    int status = 0;
    if (!child_runs(pid_, status)) {
      pid_ = -1;
      return tl::unexpected(end_of_start(status));
    }
    if (interrupts != 0) return fail(Code::cancelled, "stopped while the server was starting");
    if (found_address()) {
      const auto health = ask_health(address(), 2'000);
      if (health && health->status != 503) return {};  // with a key set it may say 401: that is life, too
    }
    if (on_wait) on_wait();
    pause_ms(kPoll_ms);
  }
}

}  // namespace kvern::cli
