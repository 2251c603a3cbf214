#include "cli/config_file.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>

#include "cli/words.h"

namespace kvern::cli {
namespace {

std::optional<std::string> scalar(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  if (const auto real = node.value_exact<double>()) return fmt::format("{}", *real);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  return std::nullopt;
}

const Flag* find_flag(std::span<const Flag> flags, std::string_view name) {
  const auto it = std::find_if(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; });
  return it == flags.end() || name == "config" ? nullptr : &*it;
}

std::string unknown_key(std::span<const Flag> flags, std::string_view key, std::string_view name) {
  std::vector<std::string_view> names;
  for (const Flag& flag : flags) {
    if (flag.name != "config") names.push_back(flag.name);
  }
  const std::string_view guess = nearest(name, names);
  if (guess.empty()) return fmt::format("'{}' is not a key kvern knows; the keys are the flags' names", key);
  return fmt::format("'{}' is not a key kvern knows; did you mean '{}'?", key, guess);
}

Result<std::vector<std::string>> read_values(const toml::node& node, const Flag& flag, const std::string& where) {
  if (const auto value = scalar(node)) return std::vector<std::string>{*value};
  const toml::array* list = node.as_array();
  if (!list || !flag.repeatable) {
    return fail(Code::invalid, fmt::format("'{}' takes one text, number or true/false", flag.name), where);
  }
  std::vector<std::string> values;
  for (const toml::node& item : *list) {
    const auto value = scalar(item);
    if (!value)
      return fail(Code::invalid, fmt::format("the list '{}' holds something that is no text", flag.name), where);
    values.push_back(*value);
  }
  return values;
}

}  // namespace

Result<std::map<std::string, Setting>> parse_config(const std::string& text, const std::string& path,
                                                    std::span<const Flag> flags) {
  std::map<std::string, Setting> entries;
  try {
    const toml::table table = toml::parse(text, path);
    for (const auto& [key, node] : table) {
      const std::string where = fmt::format("{}:{}", path, node.source().begin.line);
      std::string name(key.str());
      std::replace(name.begin(), name.end(), '_', '-');
      const Flag* flag = find_flag(flags, name);
      if (!flag) return fail(Code::invalid, unknown_key(flags, key.str(), name), where);
      if (entries.contains(name)) return fail(Code::invalid, fmt::format("'{}' is given twice", name), where);
      TRY(auto values, read_values(node, *flag, where));
      entries[name] = {std::move(values), where};
    }
  } catch (const toml::parse_error& e) {
    return fail(Code::invalid, fmt::format("not TOML: {}", e.description()),
                fmt::format("{}:{}", path, e.source().begin.line));
  } catch (const std::exception& e) {
    return fail(Code::invalid, fmt::format("cannot be read: {}", e.what()), path);
  }
  return entries;
}

Result<std::map<std::string, Setting>> read_config(const std::string& path, const std::string& origin,
                                                   std::span<const Flag> flags) {
  TRY(const std::string text, config_text("the config file " + path, path, origin));
  return parse_config(text, path, flags);
}

Result<std::string> config_text(const std::string& called, const std::string& path, const std::string& origin) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Code::invalid, called + " cannot be opened", origin);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) return fail(Code::invalid, called + " cannot be read", origin);
  return text;
}

}  // namespace kvern::cli
