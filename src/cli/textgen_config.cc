#include "cli/textgen_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "cli/config_file.h"
#include "cli/foreign_flags.h"
#include "cli/words.h"
#include "cli/yaml_subset.h"

namespace kvern::cli {
namespace {

enum class Does { sets, nothing, refused };

struct Key {
  std::string_view name;  // below model_configs[0] or at the top
  Does does;
  std::string_view word;  // our flag, or why
};

constexpr std::string_view kModels = "model_configs[";
constexpr std::string_view kInFile = "it is in the GGUF file; remove the line";
constexpr std::string_view kBudget = "not needed; the cache has a budget of bytes: cache-ram and cache-disk";

constexpr std::array kKeys = {
    Key{"model_id_or_path", Does::sets, "model"},
    Key{"model_name", Does::sets, "name"},
    Key{"host", Does::sets, "host"},
    Key{"port", Does::sets, "port"},
    Key{"api_keys", Does::sets, "api-key"},
    Key{"enable_cache", Does::sets, "no-cache"},  // the other way round
    Key{"tokenizer_repo_or_path", Does::refused, kInFile},
    Key{"tokenizer_kwargs", Does::refused, kInFile},
    Key{"model_kwargs", Does::refused, "what the model is loaded with is in the GGUF file; remove the line"},
    Key{"preprocess_batch_size", Does::nothing, kChunks},
    Key{"extra_stop_words", Does::refused, "for all requests it is not offered; send stop in the request"},
    Key{"reasoning_parser", Does::nothing, "not needed; it is read from the model's template, or named by --dialect"},
    Key{"default_template", Does::refused, "the model's own template is used; for another give --chat-template FILE"},
    Key{"draft_model_id_or_path", Does::sets, "draft"},
    Key{"num_draft_tokens", Does::sets, "draft-max"},
    Key{"min_tokens", Does::nothing, "not needed; short prompts are kept, too, and cost what they weigh"},
    Key{"max_reprocess_tokens", Does::nothing, "not needed; only what differs is computed"},
    Key{"replace_threshold", Does::nothing, "not needed; prompts that part share what they have in common"},
    Key{"max_capacity", Does::nothing, kBudget},
    Key{"use_reasoning_content", Does::nothing, "not needed, always so"},
};

// "model_configs[0].model_kwargs.x" -> "model_kwargs"; "api_keys[1]" -> "api_keys".
Result<std::string> key_name(const YamlEntry& entry, const std::string& where) {
  std::string_view rest = entry.path;
  if (rest.starts_with(kModels)) {
    rest.remove_prefix(kModels.size());
    if (!rest.starts_with("0]"))
      return fail(Code::invalid, "a second model: one server serves one; start one for each, with a file of its own",
                  where);
    rest.remove_prefix(2);
    if (rest.starts_with('.')) rest.remove_prefix(1);
  }
  return std::string(rest.substr(0, rest.find_first_of(".[")));
}

const Key* find_key(std::string_view name) {
  const auto it = std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& key) { return key.name == name; });
  return it == kKeys.end() ? nullptr : &*it;
}

tl::unexpected<Error> unknown(const std::string& name, const std::string& where) {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) names.push_back(key.name);
  const std::string_view guess = nearest(name, names);
  return fail(Code::invalid,
              guess.empty() ? fmt::format("'{}' is no key of MLX-Textgen's that kvern knows", name)
                            : fmt::format("'{}' is no key of MLX-Textgen's; did you mean '{}'?", name, guess),
              where);
}

Status set(TextgenConfig& config, const Key& key, const YamlEntry& entry, const std::string& where) {
  std::string value = entry.value;
  if (key.name == "enable_cache") {
    std::string word = value;
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    const auto on = parse_switch(word);
    if (!on) return fail(Code::invalid, fmt::format("enable_cache: '{}' is neither true nor false", value), where);
    value = *on ? "false" : "true";
  }
  Setting& setting = config.settings[std::string(key.word)];
  if (setting.origin.empty()) setting.origin = where;
  setting.values.push_back(std::move(value));
  return {};
}

}  // namespace

Result<TextgenConfig> parse_textgen_config(const std::string& text, const std::string& path) {
  TRY(const std::vector<YamlEntry> entries, read_yaml(text, path));
  TextgenConfig config;
  for (const YamlEntry& entry : entries) {
    const std::string where = fmt::format("{}:{}", path, entry.line);
    if (entry.path == "model_configs") continue;  // empty: the model is named elsewhere, or the default one
    TRY(const std::string name, key_name(entry, where));
    const Key* key = find_key(name);
    if (!key) return unknown(name, where);
    if (entry.is_null) continue;
    if (key->does == Does::refused) return fail(Code::invalid, fmt::format("{}: {}", name, key->word), where);
    if (key->does == Does::nothing) {
      config.notes.push_back(fmt::format("{}: {}: {}", where, name, key->word));
    } else {
      TRY_OK(set(config, *key, entry, where));
    }
  }
  return config;
}

Result<TextgenConfig> read_textgen_config(const std::string& path, const std::string& flag) {
  TRY(const std::string text, config_text("the file " + path, path, flag));
  return parse_textgen_config(text, path);
}

}  // namespace kvern::cli
