// The flags of `kvern serve`, and what they come to. Thread: main.
#pragma once

#include "app/options.h"
#include "base/log.h"
#include "base/result.h"
#include "cli/flags.h"
#include "cli/settings.h"

namespace kvern::cli {

struct ServeSettings {
  app::ServeOptions options;  // model as it was given: not yet looked for
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::text;
};

const Command& serve_flags();

// Code::invalid, with the flag, variable or line that is wrong as its field. Includes the rule
// that an address others can reach needs a key.
Result<ServeSettings> serve_settings(const Settings& settings);

// An address only this machine reaches.
bool is_loopback(std::string_view host);

}  // namespace kvern::cli
