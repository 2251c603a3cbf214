#include "cli/server_link.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "base/json.h"
#include "cli/child_process.h"
#include "cli/conversation.h"
#include "cli/exit_code.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kPoll_ms = 20;
constexpr int kGoodbye_ms = 3'000;  // for what the server still writes

void pause_ms(int duration_ms) { std::this_thread::sleep_for(std::chrono::milliseconds(duration_ms)); }

Result<std::string> own_executable() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(Code::failed, fmt::format("kvern cannot find its own file: {}", error.message()));
  return path.string();
}

Result<std::string> make_folder() {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  std::string path = ((error ? fs::path("/tmp") : parent) / "kvern-XXXXXX").string();
  if (!::mkdtemp(path.data())) {
    return fail(Code::failed, fmt::format("{} cannot be made: {}", path, std::strerror(errno)));
  }
  return path;
}

}  // namespace

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

Result<std::string> first_model(const std::string& address, const std::string& api_key) {
  http::ClientRequest request;
  request.address = address;
  request.target = "/v1/models";
  request.headers = headers_with_key(api_key);
  TRY(const http::ClientResponse response, http::fetch(request));
  if (response.status != 200) return tl::unexpected(refused(response.status, response.body));
  TRY(const Json body, parse_json(response.body));
  const auto data = body.is_object() ? body.find("data") : body.end();
  if (data == body.end() || !data->is_array() || data->empty() || !data->front().is_object() ||
      !data->front().contains("id") || !data->front()["id"].is_string()) {
    return fail(Code::not_found, fmt::format("{} lists no model", address));
  }
  return data->front()["id"].get<std::string>();
}

Result<OwnServer> OwnServer::start(const std::string& model) {
  TRY(const std::string program, own_executable());
  TRY(const std::string folder, make_folder());
  OwnServer server(-1, folder);  // owns the folder from here on
  std::vector<std::string> argv = {program, "serve", "--unix-socket", server.socket_, "--log-level", "warn"};
  if (!model.empty()) {
    argv.emplace_back("--model");
    argv.push_back(model);
  }
  TRY(server.pid_, start_child(argv, Group::own));
  return server;
}

OwnServer::OwnServer(OwnServer&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), folder_(std::move(other.folder_)), socket_(std::move(other.socket_)) {
  other.folder_.clear();
}

OwnServer::~OwnServer() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGTERM);
    int ignored_status = 0;
    int rounds = kGoodbye_ms / kPoll_ms;
    while (child_runs(pid_, ignored_status) && --rounds > 0) pause_ms(kPoll_ms);
    if (rounds == 0) {
      ::kill(-pid_, SIGKILL);
      wait_for_child(pid_);
    }
  }
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

Status OwnServer::wait_until_ready(const volatile int& interrupts) {
  const int interrupts_before = interrupts;
  for (;;) {
    int status = 0;
    if (!child_runs(pid_, status)) {
      pid_ = -1;
      const Code code = status == kCannotStart ? Code::not_found : status == kUsage ? Code::invalid : Code::failed;
      return fail(code, "the server for this chat did not start; its reason is above");
    }
    if (interrupts != interrupts_before) return fail(Code::cancelled, "stopped while the server was starting");
    if (fs::exists(socket_)) {
      const auto health = ask_health(address(), 2'000);
      if (health && health->status != 503) return {};  // with a key set it may say 401: that is life, too
    }
    pause_ms(kPoll_ms);
  }
}

}  // namespace kvern::cli
