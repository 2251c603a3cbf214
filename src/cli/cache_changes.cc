// The commands that change what is kept: prune, clear, pin, unpin, import.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "app/cache_json.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "cli/cache_actions.h"
#include "cli/exit_code.h"
#include "cli/terminal.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

Json one_number(const char* name, std::uint64_t value) {
  Json object = Json::object();
  object[name] = value;
  return object;
}

std::uint64_t number_of(const Json& object, const char* name) {
  const auto value = object.find(name);
  return value != object.end() && value->is_number() ? value->get<std::uint64_t>() : 0;
}

Result<Json> ask_server(const CacheTask& task, const std::string& change, const Json& body) {
  TRY(const ServerAddress server, task.server());
  return post_json(server, "/admin/cache/" + change, body);
}

int tell_freed(const CacheTask& task, std::uint64_t bytes) {
  put(task.json ? dump_json(one_number("freed_bytes", bytes)) + "\n" : fmt::format("{} freed\n", human_bytes(bytes)));
  return kOk;
}

// Nothing when it has to be asked of a server.
Result<std::optional<std::uint64_t>> prune_directory(const CacheTask& task, std::uint64_t bytes_max) {
  TRY(const std::vector<StoredModel> models, task.directory.models());
  if (models.empty()) return std::optional<std::uint64_t>(0);
  TRY(const auto store, task.directory.own(models.front()));  // one owner prunes for all models
  if (!store) return std::optional<std::uint64_t>();
  TRY(const std::uint64_t freed, store->prune(bytes_max));
  return std::optional(freed);
}

Result<std::optional<std::uint64_t>> clear_directory(const CacheTask& task, const std::vector<StoredModel>& models) {
  std::uint64_t freed = 0;
  for (const StoredModel& model : models) {
    TRY(const auto store, task.directory.own(model));
    if (!store) return std::optional<std::uint64_t>();
    TRY(const std::uint64_t bytes, store->clear());
    freed += bytes;
  }
  return std::optional(freed);
}

// A person is asked; a script has to say it meant it.
Result<bool> confirmed(const CacheTask& task, const std::string& what) {
  if (task.yes) return true;
  if (!is_terminal(STDIN_FILENO))
    return fail(Code::invalid, "clear removes records; say --yes where nobody can be asked");
  say(fmt::format("Remove {}? [y/N]", what));
  std::string answer;
  LineReader reader(STDIN_FILENO);
  if (reader.next(answer) != LineReader::Got::line) return false;
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<int> set_pin(const CacheTask& task, bool pinned) {
  TRY(const FoundRecord found, task.directory.find(task.word));
  const cache::RecordId& id = found.record.info.id;
  bool asked = !task.url.empty();
  if (!asked) {
    TRY(const auto store, task.directory.own(found.model));
    if (store) TRY_OK(store->pin(id, pinned));
    asked = !store;
  }
  Json body = Json::object();
  body["id"] = to_hex(id.key);
  body["kind"] = to_string(id.kind);
  if (asked) TRY_OK(ask_server(task, pinned ? "pin" : "unpin", body).map([](const Json&) {}));
  if (task.json) {
    body["pinned"] = pinned;
    put(dump_json(body) + "\n");
  } else {
    put(fmt::format("{}:{} is {}\n", to_string(id.kind), to_hex(id.key), pinned ? "pinned" : "no longer pinned"));
  }
  return kOk;
}

int tell_imported(const CacheTask& task, const Json& archived) {
  if (task.json) {
    put(dump_json(archived) + "\n");
    return kOk;
  }
  put(fmt::format("{} records added ({}), {} were there, {} damaged\n", number_of(archived, "records"),
                  human_bytes(number_of(archived, "bytes")), number_of(archived, "skipped"),
                  number_of(archived, "damaged")));
  return kOk;
}

// Null when a server has to be asked. An archive of another model is refused before anything is added.
Result<Json> import_into_directory(const CacheTask& task, const std::filesystem::path& path) {
  TRY(const std::vector<StoredModel> models, task.directory.models());
  if (models.empty() && task.directory.owner_address()) return Json();
  Error refused{Code::not_found,
                fmt::format("nothing is kept in {} yet, so no model is known; start kvern serve with the model, then "
                            "import again",
                            task.directory.path().string()),
                {}};
  for (const StoredModel& model : models) {
    TRY(const auto store, task.directory.own(model));
    if (!store) return Json();
    auto archived = cache::import_records(*store, path);
    if (archived) return app::archived_json(*archived);
    refused = std::move(archived).error();
    if (refused.code != Code::invalid) break;
  }
  return tl::unexpected(std::move(refused));
}

}  // namespace

Result<int> prune_cache(const CacheTask& task) {
  if (task.to.empty()) return fail(Code::invalid, "say how many bytes may stay, such as --to 10G", "--to");
  const auto bytes_max = parse_size(task.to);
  if (!bytes_max)
    return fail(Code::invalid, fmt::format("'{}' is not a size; write 512M or 10G", shortened(task.to)), "--to");
  if (task.url.empty()) {
    TRY(const auto freed, prune_directory(task, *bytes_max));
    if (freed) return tell_freed(task, *freed);
  }
  TRY(const Json done, ask_server(task, "prune", one_number("bytes_max", *bytes_max)));
  return tell_freed(task, number_of(done, "freed_bytes"));
}

Result<int> clear_cache(const CacheTask& task) {
  std::vector<StoredModel> models;
  std::uint64_t bytes = 0;
  if (task.url.empty()) {
    TRY(models, task.directory.models());
    if (models.empty()) return tell_freed(task, 0);
  }
  for (const StoredModel& model : models) bytes += model.bytes;
  TRY(const bool sure, confirmed(task, task.url.empty() ? fmt::format("{} of {} models in {}", human_bytes(bytes),
                                                                      models.size(), task.directory.path().string())
                                                        : "what this server keeps on disk of its model"));
  if (!sure) return fail(Code::cancelled, "nothing was removed");
  if (task.url.empty()) {
    TRY(const auto freed, clear_directory(task, models));
    if (freed) return tell_freed(task, *freed);
  }
  TRY(const Json done, ask_server(task, "clear", Json::object()));
  return tell_freed(task, number_of(done, "freed_bytes"));
}

Result<int> pin_record(const CacheTask& task) { return set_pin(task, true); }
Result<int> unpin_record(const CacheTask& task) { return set_pin(task, false); }

Result<int> import_cache(const CacheTask& task) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(task.word, error);
  if (error) return fail(Code::invalid, fmt::format("{}: {}", shortened(task.word, 200), error.message()));
  if (task.url.empty()) {
    TRY(const Json archived, import_into_directory(task, path));
    if (!archived.is_null()) return tell_imported(task, archived);
  }
  Json body = Json::object();
  body["path"] = path.string();
  TRY(const Json archived, ask_server(task, "import", body));
  return tell_imported(task, archived);
}

}  // namespace kvern::cli
