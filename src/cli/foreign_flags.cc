#include "cli/foreign_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include "cli/textgen_config.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

constexpr std::string_view kConfigFile = "config-file";  // MLX-Textgen's: not one flag but many

bool has_name(std::string_view names, std::string_view word) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(", "), names.size());
    if (names.substr(0, end) == word) return true;
    names.remove_prefix(std::min(end + 2, names.size()));
  }
  return false;
}

const ForeignFlag* find_foreign(std::string_view word) {
  for (const ForeignServer& server : foreign_servers()) {
    for (const ForeignFlag& flag : server.flags) {
      if (flag.effect != Effect::same && has_name(flag.names, word)) return &flag;
    }
  }
  return nullptr;
}

const Flag* find_own(const Command& command, std::string_view word) {
  for (const Flag& flag : command.flags) {
    if (word.starts_with("--") ? word.substr(2) == flag.name
                               : flag.letter != 0 && word.size() == 2 && word[0] == '-' && word[1] == flag.letter)
      return &flag;
  }
  return nullptr;
}

bool is_number(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

// With '=', so that a value that begins with '-' stays one; but CLI11 takes "--name=" for a flag whose value is
// still to come.
std::vector<std::string> spelled(std::string_view name, const std::string& value) {
  if (value.empty()) return {fmt::format("--{}", name), value};
  return {fmt::format("--{}={}", name, value)};
}

// A value of a flag that both sides have, as other servers write it. Says what it made of it in `note`.
Result<std::vector<std::string>> own_arguments(const Flag& flag, const std::string& value, std::string& note) {
  const auto instead = [&](std::string_view name, std::string word) {
    note = fmt::format("--{} {}: taken as --{} {}", flag.name, value, name, word);
    return spelled(name, word);
  };
  // No cache is smaller than a mebibyte: a bare number is llama-server's count of them.
  if (flag.name == "cache-ram" && is_number(value) && value != "0" && value.size() <= 6)
    return instead("cache-ram", value + "M");
  if ((flag.name == "threads" || flag.name == "parallel") && value == "-1") {
    note = fmt::format("--{} -1: taken as the default", flag.name);
    return std::vector<std::string>{};
  }
  if (flag.name == "host" && value.ends_with(".sock")) return instead("unix-socket", value);
  if (flag.name == "log-level") {
    std::string level = value;
    std::transform(level.begin(), level.end(), level.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (level == "warning") level = "warn";
    if (level == "critical") level = "error";
    if (level != value) return instead("log-level", level);
  }
  if (flag.name == "api-key" && value.find(',') != std::string::npos)
    note = "--api-key: a comma is a part of the key here; repeat the flag for several keys";
  if (flag.name == "chat-template" && value.find('{') != std::string::npos)
    return fail(Code::invalid, "expected the name of a Jinja file, found a template's text; write it to a file",
                "--chat-template");
  return spelled(flag.name, value);
}

class Translation {
 public:
  Translation(const Command& command, std::span<const std::string> words) : command_(command), words_(words) {}

  Result<Translated> run() {
    while (next_ < words_.size()) TRY_OK(take_word());
    return std::move(out_);
  }

 private:
  Status take_word() {
    const std::string& word = words_[next_++];
    const std::string name = word.substr(0, word.find('='));
    std::optional<std::string> value;
    if (name.size() < word.size()) value = word.substr(name.size() + 1);
    if (word.starts_with('-')) {
      if (const Flag* own = find_own(command_, name)) return take_own(*own, word, std::move(value));
      if (const ForeignFlag* foreign = find_foreign(name)) return take_foreign(*foreign, name, std::move(value));
    }
    out_.arguments.push_back(word);
    return {};
  }

  // The next word is no flag anybody knows: "-1" is a value.
  bool has_value() const {
    if (next_ == words_.size()) return false;
    const std::string name = words_[next_].substr(0, words_[next_].find('='));
    return !name.starts_with('-') || (!find_own(command_, name) && !find_foreign(name));
  }

  Status take_own(const Flag& flag, const std::string& word, std::optional<std::string> value) {
    if (flag.value.empty() || (!value && !has_value())) {
      out_.arguments.push_back(word);  // a switch, or a complaint for parse_flags()
      return {};
    }
    if (!value) value = words_[next_++];
    std::string note;
    TRY(const std::vector<std::string> arguments, own_arguments(flag, *value, note));
    out_.arguments.insert(out_.arguments.end(), arguments.begin(), arguments.end());
    if (!note.empty()) out_.notes.push_back(std::move(note));
    return {};
  }

  Status take_foreign(const ForeignFlag& flag, const std::string& name, std::optional<std::string> value) {
    if (!flag.value.empty() && !value) {
      if (!has_value()) return fail(Code::invalid, "needs a value", name);
      value = words_[next_++];
    }
    if (flag.value.empty() && value) return fail(Code::invalid, "takes no value", name);
    const std::string given = std::move(value).value_or("");
    const std::string typed = given.empty() ? name : name + " " + given;
    if (flag.effect == Effect::refused) return fail(Code::invalid, std::string(flag.remark), name);
    if (flag.own == kConfigFile) return take_config(given, name);
    std::vector<std::string> values{given};
    if (flag.convert) {
      auto converted = flag.convert(given);
      if (!converted) return fail(Code::invalid, converted.error().message, name);
      values = std::move(*converted);
    }
    if (flag.effect == Effect::nothing) {
      out_.notes.push_back(fmt::format("{}: {}", name, flag.remark));
      return {};
    }
    return add_mapped(flag, typed, name, values);
  }

  Status add_mapped(const ForeignFlag& flag, const std::string& typed, const std::string& name,
                    const std::vector<std::string>& values) {
    const Flag* own = find_own(command_, fmt::format("--{}", flag.own));
    const bool is_switch = own->value.empty();
    const std::string remark = flag.remark.empty() ? "" : fmt::format("; {}", flag.remark);
    if (values.empty()) {
      out_.notes.push_back(fmt::format("{}: the default is meant{}", typed, remark));
      return {};
    }
    std::string shown;
    for (const std::string& word : values) {
      const std::string value = flag.field.empty() ? word : fmt::format("{}={}", flag.field, word);
      const std::vector<std::string> words =
          is_switch ? std::vector<std::string>{fmt::format("--{}", flag.own)} : spelled(flag.own, value);
      out_.arguments.insert(out_.arguments.end(), words.begin(), words.end());
      shown = is_switch || flag.own == "api-key" ? "" : " " + value;
    }
    if (!own->repeatable && !is_switch) TRY_OK(check_agreement(flag.own, name, values.back()));
    out_.notes.push_back(fmt::format("{}: taken as --{}{}{}", typed, flag.own, shown, remark));
    return {};
  }

  // Two foreign flags may become one of ours; then they must say the same.
  Status check_agreement(std::string_view own, const std::string& name, const std::string& value) {
    const auto [it, added] = mapped_.try_emplace(std::string(own), Setting{{value}, name});
    if (added || it->second.values.front() == value || it->second.origin == name) return {};
    return fail(Code::invalid,
                fmt::format("{} {} and {} {} are one flag here, --{}: give both the same value", it->second.origin,
                            it->second.values.front(), name, value, own),
                name);
  }

  Status take_config(const std::string& path, const std::string& name) {
    TRY(TextgenConfig config, read_textgen_config(path, name));
    for (auto& [own, setting] : config.settings) out_.settings[own] = std::move(setting);
    out_.notes.insert(out_.notes.end(), config.notes.begin(), config.notes.end());
    return {};
  }

  const Command& command_;
  std::span<const std::string> words_;
  std::size_t next_ = 0;
  Translated out_;
  std::map<std::string, Setting, std::less<>> mapped_;
};

std::string what_it_does(const ForeignFlag& flag) {
  switch (flag.effect) {
    case Effect::same: return flag.remark.empty() ? "the same" : fmt::format("the same; {}", flag.remark);
    case Effect::nothing: return std::string(flag.remark);
    case Effect::refused: return fmt::format("refused: {}", flag.remark);
    case Effect::maps: break;
  }
  if (flag.own == kConfigFile) return std::string(flag.remark);
  std::string out = fmt::format("--{}", flag.own);
  if (!flag.field.empty()) out += fmt::format(" {}={}", flag.field, flag.value);
  return flag.remark.empty() ? out : fmt::format("{}; {}", out, flag.remark);
}

}  // namespace

std::span<const ForeignServer> foreign_servers() {
  static const std::array kServers = {ForeignServer{"llama-server", llama_server_flags()},
                                      ForeignServer{"mlx-textgen", mlx_textgen_flags()},
                                      ForeignServer{"mlx-lm", mlx_lm_flags()}};
  return kServers;
}

Result<Translated> translate(const Command& command, std::span<const std::string> arguments) {
  return Translation(command, arguments).run();
}

Result<std::string> foreign_help(std::string_view server) {
  for (const ForeignServer& known : foreign_servers()) {
    if (known.name != server) continue;
    std::string out = fmt::format("Flags of {}, and what kvern serve makes of them\n\n", server);
    for (const ForeignFlag& flag : known.flags) {
      const std::string left = fmt::format("{} {}", flag.names, flag.value);
      if (left.size() > 38) {
        out += fmt::format("  {}\n  {:<38} {}\n", left, "", what_it_does(flag));
      } else {
        out += fmt::format("  {:<38} {}\n", left, what_it_does(flag));
      }
    }
    return out;
  }
  return fail(Code::invalid,
              fmt::format("there is no table for '{}'; choose llama-server, mlx-textgen or mlx-lm", server),
              "--help-from");
}

}  // namespace kvern::cli
