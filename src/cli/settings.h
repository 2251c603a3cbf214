// What a command was told, whoever said it: flag, then KVERN_* variable, then config file.
//
// Every value remembers where it came from, so that a complaint names the place to change.
// Thread: main.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/flags.h"

namespace kvern::cli {

// Looks a variable up; tests bring their own.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

Environment process_environment();

struct Setting {
  std::vector<std::string> values;
  std::string origin;  // "--port", "KVERN_PORT", "kvern.toml:3"
};

class Settings {
 public:
  void set(std::string_view name, Setting setting) {
    settings_.insert_or_assign(std::string(name), std::move(setting));
  }
  const Setting* find(std::string_view name) const;

  // The last value given, or the fallback.
  std::string text(std::string_view name, std::string_view fallback = {}) const;
  // The flag's name when nothing was given: errors about defaults name the flag, too.
  std::string origin(std::string_view name) const;

  // Code::invalid when the value is of another kind or outside the bounds.
  Result<std::int64_t> integer(std::string_view name, std::int64_t fallback, std::int64_t least,
                               std::int64_t most) const;
  Result<bool> on(std::string_view name) const;

 private:
  std::map<std::string, Setting, std::less<>> settings_;
};

// Merges the three. The config file is the one named by --config or KVERN_CONFIG, if the command
// has that flag. Empty variables count as unset.
Result<Settings> gather_settings(const Command& command, const FlagValues& flags, const Environment& environment);

}  // namespace kvern::cli
