// Wiring: makes the objects, owns the threads, ties routes to APIs, serves until a signal.
#pragma once

#include <functional>
#include <string>

#include "app/options.h"
#include "base/result.h"

namespace kvern::app {

// What the caller may show a person. Called on the engine thread.
struct ServeHooks {
  std::function<void(float fraction)> load_progress;  // 0..1 while the weights load
  struct Ready {
    std::string address;
    std::string model;
    std::int32_t context = 0;
    std::int32_t cells = 0;
    std::int32_t parallel = 0;
    std::uint64_t cache_ram_bytes = 0;
    std::uint64_t cache_disk_bytes = 0;  // 0: no disk tier
    std::string dialect;
    bool template_knows_tools = false;
    double load_s = 0;
  };
  std::function<void(const Ready&)> ready;
};

// Runs until SIGTERM or SIGINT: the first drains, the second ends at once. Errors name the flag.
Status serve(const ServeOptions& options, const ServeHooks& hooks);

}  // namespace kvern::app
