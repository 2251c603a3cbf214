// The server a client is started on: the one that is named, the one that runs, or one of our own.
// Thread: main.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/launch_options.h"
#include "cli/server_link.h"

namespace kvern::cli {

struct LaunchServer {
  std::string address;
  std::string model;
  std::int32_t context = 0;
  std::optional<OwnServer> own;
  std::vector<std::string> remarks;  // what was decided, and why
};

// Waits while a model loads, until interrupts is not 0 (Code::cancelled) or it is silent for long
// (Code::failed). With a Show other than nothing no server is started: where none answers, the numbers
// are guesses, and a remark says so.
Result<LaunchServer> find_launch_server(const LaunchOptions& options, const volatile int& interrupts);

}  // namespace kvern::cli
