#include "cli/cache_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/options.h"
#include "cli/cache_actions.h"
#include "cli/exit_code.h"
#include "cli/model_store.h"
#include "cli/settings.h"
#include "cli/terminal.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

constexpr std::array kFlags = {
    Flag{"json", 0, "", "FLAGS", "the answer as JSON"},
    Flag{"records", 0, "", "FLAGS", "ls: every record, not only the models"},
    Flag{"to", 0, "SIZE", "FLAGS", "prune: the bytes that may stay, such as 10G"},
    Flag{"yes", 'y', "", "FLAGS", "clear: do not ask"},
    Flag{"fingerprint", 0, "ID|NAME", "FLAGS", "only this model: the beginning of its fingerprint, or its name"},
    Flag{"cache-dir", 0, "PATH", "WHERE", "default: ~/.cache/kvern"},
    Flag{"url", 0, "URL", "WHERE", "ask this server; default: the one that owns the directory"},
    Flag{"api-key", 0, "KEY", "WHERE", "its key; better kept in KVERN_API_KEY"},
};

struct Action {
  std::string_view name;
  std::string_view word;  // what help calls its word; empty: it takes none
  std::string_view summary;
  std::string_view flags;  // of the first group, those it knows
  std::string_view examples;
  Result<int> (*run)(const CacheTask& task);
};

constexpr std::array kActions = {
    Action{
        "ls", "", "Lists the models that have records on disk, or with --url what a server holds.",
        "json records fingerprint",
        "  kvern cache ls\n  kvern cache ls --records --fingerprint 1a2b\n  kvern cache ls --url http://127.0.0.1:8080",
        list_cache},
    Action{"show", "ID", "Shows one record: where it lies in its prompt, its size, whether its bytes are good.",
           "json fingerprint", "  kvern cache show ab12cd\n  kvern cache show snapshot:ab12cd", show_record},
    Action{"verify", "", "Reads every record and checks it; damaged ones are put aside.", "json fingerprint",
           "  kvern cache verify", verify_cache},
    Action{"prune", "", "Removes what is worth least until no more than --to is left. Pinned records stay.", "json to",
           "  kvern cache prune --to 10G", prune_cache},
    Action{"clear", "", "Removes every record but pinned ones. Asks first.", "json yes fingerprint",
           "  kvern cache clear\n  kvern cache clear --yes --fingerprint 1a2b", clear_cache},
    Action{"pin", "ID", "Keeps a record whatever happens: never evicted, never cleared.", "json fingerprint",
           "  kvern cache pin ab12cd", pin_record},
    Action{"unpin", "ID", "Makes a pinned record one like the others.", "json fingerprint",
           "  kvern cache unpin ab12cd", unpin_record},
    Action{"export", "FILE", "Writes one model's records into one file, to carry them to another machine.",
           "json fingerprint", "  kvern cache export qwen.kvern", export_cache},
    Action{"import", "FILE", "Adds the records of an exported file. Each is checked; the model must be the same.",
           "json fingerprint", "  kvern cache import qwen.kvern", import_cache},
    Action{"why", "LAST|REQUEST", "Says how much of a request's prompt was reused and why it was not more.", "json",
           "  kvern cache why LAST\n  kvern cache why chatcmpl-1a2b --url http://127.0.0.1:8080", explain_reuse},
};

std::string overview() {
  std::string out =
      "Usage: kvern cache COMMAND [flags]\n\nWhat is kept of prompts that were computed before.\n\nCOMMANDS\n";
  for (const Action& action : kActions)
    out += fmt::format("  {:<18} {}\n", fmt::format("{} {}", action.name, action.word), action.summary);
  return out +
         "\nEXAMPLES\n  kvern cache ls                  what is on disk, by model\n"
         "  kvern cache why LAST            why the last request was not faster\n"
         "  kvern cache prune --to 10G      make room\n"
         "\nEach takes --json and --help. Records are named by the first digits of their id.\n";
}

// Those of the first group that the action knows, and where to look.
std::vector<Flag> flags_of(const Action& action) {
  std::vector<Flag> flags;
  for (const Flag& flag : kFlags) {
    const std::string padded = fmt::format(" {} ", action.flags);
    if (flag.group == "WHERE" || padded.find(fmt::format(" {} ", flag.name)) != std::string::npos)
      flags.push_back(flag);
  }
  return flags;
}

Status check_words(const Action& action, const std::vector<std::string>& words) {
  const std::size_t wanted = action.word.empty() ? 0 : 1;
  if (words.size() == wanted) return {};
  if (words.size() < wanted)
    return fail(Code::invalid, fmt::format("kvern cache {} wants its {}; kvern cache {} --help", action.name,
                                           action.word, action.name));
  return fail(Code::invalid, fmt::format("'{}' is not expected after kvern cache {}", words[wanted], action.name));
}

Result<const Action*> find_action(const std::string& word) {
  std::vector<std::string_view> names = {"--help"};
  for (const Action& action : kActions) {
    if (action.name == word) return &action;
    names.push_back(action.name);
  }
  const std::string_view guess = nearest(word, names);
  return fail(Code::invalid,
              guess.empty() ? fmt::format("there is no kvern cache {}; kvern cache --help lists what there is", word)
                            : fmt::format("there is no kvern cache {}; did you mean {}?", word, guess));
}

Result<CacheTask> make_task(const Settings& settings, const std::vector<std::string>& words) {
  TRY(const std::filesystem::path folder, cache_folder(settings.text("cache-dir"), process_environment()));
  CacheTask task{CacheDirectory(app::record_folder(folder), settings.text("fingerprint")),
                 words.empty() ? std::string() : words.front(), settings.text("url"), settings.text("api-key"),
                 settings.text("to")};
  TRY(task.json, settings.on("json"));
  TRY(task.records, settings.on("records"));
  TRY(task.yes, settings.on("yes"));
  return task;
}

Result<int> run(std::span<const std::string> arguments) {
  if (arguments.empty()) {
    say(overview());
    return kUsage;
  }
  const std::string& first = arguments.front();
  if (first == "--help" || first == "-h" || first == "help") {
    put(overview());
    return kOk;
  }
  TRY(const Action* action, find_action(first));
  const std::vector<Flag> flags = flags_of(*action);
  const std::string name = fmt::format("cache {}", action->name);
  const Command command = {name, action->summary, flags, action->examples};
  const SplitLine line = split_line(flags, arguments.subspan(1));
  TRY(const FlagValues values, parse_flags(command, line.flags));
  if (values.contains("help")) {
    const std::string usage = action->word.empty() ? name : fmt::format("{} {}", name, action->word);
    put(help_text({usage, action->summary, flags, action->examples}));
    return kOk;
  }
  TRY_OK(check_words(*action, line.words));
  TRY(const Settings settings, gather_settings(command, values, process_environment()));
  TRY(const CacheTask task, make_task(settings, line.words));
  return action->run(task);
}

}  // namespace

SplitLine split_line(std::span<const Flag> flags, std::span<const std::string> arguments) {
  SplitLine line;
  const auto takes_next = [&](const std::string& argument) {
    return std::any_of(flags.begin(), flags.end(), [&](const Flag& flag) {
      if (flag.value.empty()) return false;
      return argument == fmt::format("--{}", flag.name) ||
             (flag.letter != 0 && argument == fmt::format("-{}", flag.letter));
    });
  };
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      line.words.insert(line.words.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
      break;
    }
    if (argument.size() < 2 || argument.front() != '-') {
      line.words.push_back(argument);
      continue;
    }
    line.flags.push_back(argument);
    if (takes_next(argument) && i + 1 < arguments.size()) line.flags.push_back(arguments[++i]);
  }
  return line;
}

int cache_command(std::span<const std::string> arguments) {
  const Result<int> status = run(arguments);
  if (status) return *status;
  say_error(status.error());
  return exit_code(status.error());
}

}  // namespace kvern::cli
