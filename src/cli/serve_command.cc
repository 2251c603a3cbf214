#include "cli/serve_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "app/serve.h"
#include "cli/child_process.h"
#include "cli/exit_code.h"
#include "cli/foreign_flags.h"
#include "cli/model_store.h"
#include "cli/serve_options.h"
#include "cli/terminal.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

using Ready = app::ServeHooks::Ready;

std::string curl_line(const Ready& ready, const app::ServeOptions& options) {
  const bool socket = !options.unix_socket.empty();
  return fmt::format(
      "curl {}{}{}/v1/chat/completions -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'",
      socket ? fmt::format("--unix-socket {} ", options.unix_socket) : "",
      options.api_keys.empty() ? "" : "-H \"Authorization: Bearer $KVERN_API_KEY\" ",
      socket ? "http://localhost" : ready.address);
}

std::string banner(const Ready& ready, const app::ServeOptions& options) {
  const auto row = [](std::string_view label, std::string_view text) {
    return fmt::format("  {} {}\n", styled(fmt::format("{:<8}", label), Style::dim, STDERR_FILENO), text);
  };
  const std::string disk = ready.cache_disk_bytes == 0
                               ? "nothing on disk"
                               : fmt::format("{} of disk in {}", human_bytes(ready.cache_disk_bytes),
                                             app::record_folder(options.cache_dir).string());
  const std::string cache = options.no_cache ? std::string("off (--no-cache)")
                                             : fmt::format("{} tokens on the device, {} of memory, {}", ready.cells,
                                                           human_bytes(ready.cache_ram_bytes), disk);
  std::string out = row("model", fmt::format("{}  ({}; loaded in {:.1f} s)", ready.model, options.model, ready.load_s));
  out += row("context", fmt::format("{} tokens a conversation, {} at once", ready.context, ready.parallel));
  out += row("cache", cache);
  out += row("tools", fmt::format("dialect {}{}", ready.dialect,
                                  ready.template_knows_tools ? "" : "; the model's template has no place for tools"));
  out += row("ready", styled(ready.address, Style::bold, STDERR_FILENO));
  out += row("try", curl_line(ready, options));
  out += row("or", options.unix_socket.empty() ? fmt::format("kvern chat --server {}", ready.address)
                                               : fmt::format("kvern chat --unix-socket {}", options.unix_socket));
  out.pop_back();
  return out;
}

// A person gets the banner, a log collector a line with the same numbers.
void announce(const Ready& ready, const app::ServeOptions& options) {
  if (is_terminal(STDERR_FILENO)) return say(banner(ready, options));
  log::info("ready", {{"address", ready.address},
                      {"model", ready.model},
                      {"context", ready.context},
                      {"cells", ready.cells},
                      {"parallel", ready.parallel},
                      {"cache_ram_bytes", ready.cache_ram_bytes},
                      {"cache_disk_bytes", ready.cache_disk_bytes},
                      {"dialect", ready.dialect},
                      {"template_knows_tools", ready.template_knows_tools},
                      {"load_s", ready.load_s}});
}

// One line each: what became of flags that are another server's.
void tell(std::span<const std::string> notes, log::Format format) {
  for (const std::string& note : notes) {
    if (format == log::Format::json) {
      log::info("flag", {{"note", note}});
    } else {
      say(note);
    }
  }
}

// --help-from SERVER or --help-from=SERVER; nullopt without it.
std::optional<std::string> help_wanted(std::span<const std::string> arguments) {
  static constexpr std::string_view kName = "--help-from";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == kName) return i + 1 < arguments.size() ? arguments[i + 1] : std::string();
    if (arguments[i].starts_with("--help-from=")) return arguments[i].substr(kName.size() + 1);
  }
  return std::nullopt;
}

Status serve(std::span<const std::string> arguments) {
  if (const auto server = help_wanted(arguments)) {
    TRY(const std::string table, foreign_help(*server));
    put(table);
    return {};
  }
  TRY(Translated translated, translate(serve_flags(), arguments));
  TRY(const FlagValues flags, parse_flags(serve_flags(), translated.arguments));
  if (flags.contains("help")) {
    put(help_text(serve_flags()));
    return {};
  }
  const Environment environment = process_environment();
  TRY(Settings settings, gather_settings(serve_flags(), flags, environment));
  for (auto& [name, setting] : translated.settings) {
    if (!settings.find(name)) settings.set(name, std::move(setting));
  }
  TRY(ServeSettings chosen, serve_settings(settings));
  log::configure(chosen.log_level, chosen.log_format);
  tell(translated.notes, chosen.log_format);
  app::ServeOptions& options = chosen.options;
  TRY(const std::filesystem::path folder, cache_folder(options.cache_dir, environment));
  options.cache_dir = folder.string();
  TRY(options.model, resolve_model(options.model, folder, run_child));
  if (!options.draft_model.empty()) {
    auto draft = resolve_model(options.draft_model, folder, run_child);
    if (!draft) return fail(draft.error().code, draft.error().message, settings.origin("draft"));
    options.draft_model = std::move(*draft);
  }

  ProgressLine progress;
  app::ServeHooks hooks;
  hooks.load_progress = [&](float fraction) { progress.show("loading the model", fraction); };
  hooks.ready = [&](const Ready& ready) {
    progress.clear();
    announce(ready, options);
  };
  return app::serve(options, hooks);
}

}  // namespace

int serve_command(std::span<const std::string> arguments) {
  const Status status = serve(arguments);
  if (status) return kOk;
  say_error(status.error());
  return exit_code(status.error());
}

}  // namespace kvern::cli
