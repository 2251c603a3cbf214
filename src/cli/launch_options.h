// The words after `kvern claude`: ours first, then the client's. Thread: main.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agents/launch_plan.h"
#include "base/result.h"
#include "cli/settings.h"

namespace kvern::cli {

struct LaunchOptions {
  bool help = false;
  std::string model;
  std::string server;         // empty: the usual address, or a server of our own
  std::string server_origin;  // "--server" or "KVERN_SERVER"
  std::string api_key;
  std::string context;  // as it was written
  std::optional<std::int32_t> context_tokens;
  bool simple = false;
  enum class Show { nothing, shell, exports } show = Show::nothing;  // instead of starting
  bool json = false;
  std::vector<std::string> arguments;  // the client's, exactly as given
};

// Ours end at `--`, which is dropped, or at the first word that is none of ours, which is the client's.
// Code::invalid, with the flag as its field, for one of ours that is wrong.
Result<LaunchOptions> parse_launch_options(const agents::Agent& agent, std::span<const std::string> arguments,
                                           const Environment& environment);

std::string launch_help(const agents::Agent& agent);

}  // namespace kvern::cli
