#include "cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "cli/config_file.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

std::string variable_name(std::string_view flag) {
  std::string name = "KVERN_";
  for (const char c : flag) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (!value) return std::nullopt;
    return value;
  };
}

const Setting* Settings::find(std::string_view name) const {
  const auto it = settings_.find(name);
  return it == settings_.end() ? nullptr : &it->second;
}

std::string Settings::text(std::string_view name, std::string_view fallback) const {
  const Setting* setting = find(name);
  return setting && !setting->values.empty() ? setting->values.back() : std::string(fallback);
}

std::string Settings::origin(std::string_view name) const {
  const Setting* setting = find(name);
  return setting ? setting->origin : fmt::format("--{}", name);
}

Result<std::int64_t> Settings::integer(std::string_view name, std::int64_t fallback, std::int64_t least,
                                       std::int64_t most) const {
  const Setting* setting = find(name);
  if (!setting) return fallback;
  const std::string word = text(name);
  const auto number = parse_integer(word, least, most);
  if (!number) {
    return fail(Code::invalid, fmt::format("'{}' is not a whole number from {} to {}", word, least, most),
                setting->origin);
  }
  return *number;
}

Result<bool> Settings::on(std::string_view name) const {
  const Setting* setting = find(name);
  if (!setting) return false;
  const std::string word = text(name);
  const auto value = parse_switch(word);
  if (!value) return fail(Code::invalid, fmt::format("'{}' is neither true nor false", word), setting->origin);
  return *value;
}

Result<Settings> gather_settings(const Command& command, const FlagValues& flags, const Environment& environment) {
  Settings settings;
  const auto from_variable = [&](std::string_view name) -> std::optional<Setting> {
    const std::string variable = variable_name(name);
    auto value = environment(variable);
    if (!value || value->empty()) return std::nullopt;
    return Setting{{std::move(*value)}, variable};
  };
  const bool has_config =
      std::any_of(command.flags.begin(), command.flags.end(), [](const Flag& flag) { return flag.name == "config"; });
  if (has_config) {
    Setting where;
    if (const auto given = flags.find("config"); given != flags.end()) {
      where = {given->second, "--config"};
    } else if (auto variable = from_variable("config")) {
      where = std::move(*variable);
    }
    if (!where.values.empty()) {
      TRY(const auto entries, read_config(where.values.back(), where.origin, command.flags));
      for (const auto& [name, setting] : entries) settings.set(name, setting);
    }
  }
  for (const Flag& flag : command.flags) {
    if (const auto given = flags.find(flag.name); given != flags.end()) {
      settings.set(flag.name, {given->second, fmt::format("--{}", flag.name)});
    } else if (auto variable = from_variable(flag.name)) {
      settings.set(flag.name, std::move(*variable));
    }
  }
  return settings;
}

}  // namespace kvern::cli
