#include "cli/serve_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "api/request_defaults.h"
#include "base/limits.h"
#include "cli/version.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

constexpr std::array kFlags = {
    Flag{"model", 'm', "PATH", "MODEL",
         "a GGUF file, its folder, or a downloaded org/repo:QUANT; default: a small one, fetched once"},
    Flag{"name", 0, "NAME", "MODEL", "its id in /v1/models; default: the file's name"},
    Flag{"context", 'c', "TOKENS", "MODEL", "tokens one conversation may hold, such as 64k; default: the model's own"},
    Flag{"kv-type", 0, "TYPE", "MODEL", "f16, bf16, f32, q8_0, q5_1, q5_0, q4_1 or q4_0; default: f16"},
    Flag{"chat-template", 0, "FILE", "MODEL", "a Jinja file instead of the model's own template"},
    Flag{"dialect", 0, "NAME", "MODEL", "how the model writes tool calls; default: read from its template"},
    Flag{"default", 0, "FIELD=VALUE", "MODEL", "what requests without the field get, such as top_k=20; repeatable",
         true},
    Flag{"host", 0, "ADDRESS", "SERVER", "default: 127.0.0.1; another needs --api-key or --no-auth"},
    Flag{"port", 'p', "N", "SERVER", "default: 8080; 0 takes any free one"},
    Flag{"unix-socket", 0, "PATH", "SERVER", "listen here instead of on a port"},
    Flag{"api-key", 0, "KEY", "SERVER", "a key clients must send; repeatable; better kept in KVERN_API_KEY", true},
    Flag{"no-auth", 0, "", "SERVER", "no key, even on an address others can reach"},
    Flag{"parallel", 0, "N", "WORK", "conversations decoding at once; default: 4"},
    Flag{"latency-target", 0, "RATIO", "WORK", "how far prompts may slow running answers, on the whole; default: 1.5"},
    Flag{"draft", 0, "MODEL", "WORK", "a small model of the same family that guesses ahead; given as --model is"},
    Flag{"draft-max", 0, "N", "WORK", "tokens guessed ahead at most; default: 16 on a GPU or with --draft, else 0"},
    Flag{"threads", 't', "N", "WORK", "default: one a physical core"},
    Flag{"cache-ram", 0, "SIZE", "CACHE", "memory for known prompts, such as 16G; 0: none; default: auto"},
    Flag{"cache-disk", 0, "SIZE", "CACHE", "disk for known prompts, such as 40G; 0: none; default: auto"},
    Flag{"cache-dir", 0, "PATH", "CACHE", "default: ~/.cache/kvern"},
    Flag{"warm", 0, "FILE", "CACHE", "a chat request's JSON whose prompt is computed at start; repeatable", true},
    Flag{"keep-transport-headers", 0, "", "CACHE", "leave clients' billing lines, which change, in the prompt"},
    Flag{"no-cache", 0, "", "CACHE", "compute every prompt from its first token"},
    Flag{"log-level", 0, "LEVEL", "MORE", "debug, info, warn, error or off; default: info"},
    Flag{"log-format", 0, "FORMAT", "MORE", "text or json; default: text"},
    Flag{"config", 0, "FILE", "MORE", "a TOML file; its keys are the names above"},
};

constexpr std::string_view kExamples =
    "  kvern serve                                        try it with a small model\n"
    "  kvern serve -m qwen3-coder.gguf -c 64k             your model, room for an agent\n"
    "  KVERN_API_KEY=secret kvern serve --host 0.0.0.0    for other machines\n"
    "  kvern serve --help-from llama-server               what its flags are here; also mlx-textgen, mlx-lm\n"
    "\nEvery flag is also a variable (KVERN_CACHE_RAM) and a key of the config file (cache-ram).\n"
    "A flag wins over a variable, a variable over the file.";

constexpr std::array<std::string_view, 8> kKvTypes = {"f16", "bf16", "f32", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"};

// 1 is undisturbed; a thousand times slower is no limit any more.
Result<double> ratio_of(const Settings& settings, std::string_view name, double fallback) {
  if (!settings.find(name)) return fallback;
  const std::string word = settings.text(name);
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !(value >= 1 && value <= 1000))
    return fail(Code::invalid, fmt::format("'{}' is not a ratio from 1 to 1000, such as 1.5", word),
                settings.origin(name));
  return value;
}

Result<std::optional<std::uint64_t>> size_of(const Settings& settings, std::string_view name) {
  const std::string word = settings.text(name, "auto");
  if (word == "auto") return std::optional<std::uint64_t>();
  const auto bytes = parse_size(word);
  if (!bytes) {
    return fail(Code::invalid, fmt::format("'{}' is not a size; write 512M, 16G, auto or 0", word),
                settings.origin(name));
  }
  return bytes;
}

Result<std::int32_t> context_of(const Settings& settings) {
  const Setting* given = settings.find("context");
  if (!given) return 0;
  const std::string word = settings.text("context");
  const auto tokens = parse_size(word);
  if (!tokens || *tokens > std::numeric_limits<std::int32_t>::max()) {
    return fail(Code::invalid, fmt::format("'{}' is not a number of tokens; write 32768 or 32k", word), given->origin);
  }
  return static_cast<std::int32_t>(*tokens);
}

Result<std::int32_t> count_of(const Settings& settings, std::string_view name, std::int64_t fallback,
                              std::int64_t least, std::int64_t most) {
  TRY(const std::int64_t number, settings.integer(name, fallback, least, most));
  return static_cast<std::int32_t>(number);
}

Status read_log(const Settings& settings, ServeSettings& out) {
  const std::string level = settings.text("log-level", "info");
  if (!log::parse_level(level, out.log_level)) {
    return fail(Code::invalid, fmt::format("'{}' is not one of debug, info, warn, error, off", level),
                settings.origin("log-level"));
  }
  const std::string format = settings.text("log-format", "text");
  if (format != "text" && format != "json") {
    return fail(Code::invalid, fmt::format("'{}' is neither text nor json", format), settings.origin("log-format"));
  }
  out.log_format = format == "json" ? log::Format::json : log::Format::text;
  return {};
}

// A number is llama-server's --draft, the most that is guessed.
Status read_draft(const Settings& settings, app::ServeOptions& options) {
  const std::string word = settings.text("draft");
  const Setting* given = settings.find("draft");
  if (given && word.empty()) return fail(Code::invalid, "needs a model: a GGUF file or a name", given->origin);
  if (word.empty() || word.find_first_not_of("0123456789") != std::string::npos) {
    options.draft_model = word;
    return {};
  }
  TRY(const std::int32_t tokens, count_of(settings, "draft", 0, 0, limits::kDraftTokensMax));
  if (!options.draft_max) options.draft_max = tokens;
  return {};
}

Status check_reach(const Settings& settings, const app::ServeOptions& options) {
  TRY(const bool open, settings.on("no-auth"));
  if (open || !options.unix_socket.empty() || !options.api_keys.empty() || is_loopback(options.host)) return {};
  return fail(Code::invalid,
              fmt::format("others can reach {}, so clients must send a key: set --api-key or KVERN_API_KEY, or say "
                          "--no-auth",
                          options.host),
              settings.origin("host"));
}

}  // namespace

const Command& serve_flags() {
  static const Command command = {"serve", "Serves a model over the APIs of OpenAI and Anthropic until Ctrl-C.", kFlags,
                                  kExamples};
  return command;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

Result<ServeSettings> serve_settings(const Settings& settings) {
  ServeSettings out;
  app::ServeOptions& options = out.options;
  options.model = settings.text("model");
  options.name = settings.text("name");
  options.host = settings.text("host", options.host);
  options.unix_socket = settings.text("unix-socket");
  options.cache_dir = settings.text("cache-dir");
  options.chat_template_file = settings.text("chat-template");
  options.dialect = settings.text("dialect");
  options.kv_type = settings.text("kv-type", options.kv_type);
  if (std::find(kKvTypes.begin(), kKvTypes.end(), options.kv_type) == kKvTypes.end()) {
    const std::string_view guess = nearest(options.kv_type, kKvTypes);
    return fail(Code::invalid,
                fmt::format("'{}' is not a type of KV cache; {}", options.kv_type,
                            guess.empty() ? "f16 and q8_0 are the usual ones" : fmt::format("did you mean {}?", guess)),
                settings.origin("kv-type"));
  }
  if (const Setting* keys = settings.find("api-key")) options.api_keys = keys->values;
  if (std::find(options.api_keys.begin(), options.api_keys.end(), "") != options.api_keys.end()) {
    return fail(Code::invalid, "a key cannot be empty", settings.origin("api-key"));
  }
  TRY(const std::int32_t port, count_of(settings, "port", options.port, 0, 65'535));
  options.port = static_cast<std::uint16_t>(port);
  TRY(options.context, context_of(settings));
  TRY(options.parallel, count_of(settings, "parallel", options.parallel, 1, limits::kSequences));
  TRY(options.latency_target, ratio_of(settings, "latency-target", options.latency_target));
  if (settings.find("draft-max")) {
    TRY(options.draft_max, count_of(settings, "draft-max", 0, 0, limits::kDraftTokensMax));
  }
  TRY_OK(read_draft(settings, options));
  TRY(options.threads, count_of(settings, "threads", 0, 0, 4'096));
  TRY(options.cache_ram_bytes, size_of(settings, "cache-ram"));
  TRY(options.cache_disk_bytes, size_of(settings, "cache-disk"));
  TRY(options.no_cache, settings.on("no-cache"));
  TRY(options.keep_transport_headers, settings.on("keep-transport-headers"));
  if (const Setting* defaults = settings.find("default")) {
    auto read = api::parse_request_defaults(defaults->values);
    if (!read) return fail(Code::invalid, read.error().message, defaults->origin);
    options.defaults = std::move(*read);
  }
  options.version = version();
  if (const Setting* warm = settings.find("warm")) options.warm_files = warm->values;
  TRY_OK(read_log(settings, out));
  TRY_OK(check_reach(settings, options));
  return out;
}

}  // namespace kvern::cli
