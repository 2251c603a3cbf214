// The commands that look: ls, show, verify, export, why.
#include "cli/cache_actions.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "app/cache_json.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "cli/cache_listing.h"
#include "cli/cache_why.h"
#include "cli/exit_code.h"
#include "cli/server_link.h"
#include "cli/terminal.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

void put_json(const Json& value) { put(dump_json(value) + "\n"); }

Result<int> list_server(const CacheTask& task) {
  const ServerAddress server{task.url, task.api_key};
  TRY(Json report, get_json(server, "/admin/cache"));
  if (!task.records) {
    if (task.json) {
      put_json(report);
    } else {
      put(server_text(report));
    }
    return kOk;
  }
  TRY(const Json records, get_json(server, "/admin/cache/records?limit=10000"));
  if (task.json) {
    report["held"] = records;
    put_json(report);
  } else {
    put(server_text(report) + "\n" + held_records_text(records, STDOUT_FILENO));
  }
  return kOk;
}

Result<Json> listing_json(const CacheTask& task, const std::vector<StoredModel>& models) {
  Json list = Json::array();
  for (const StoredModel& model : models) {
    Json item = model_json(model);
    if (task.records) {
      TRY(const auto store, task.directory.read(model));
      Json records = Json::array();
      for (const StoredRecord& record : store->list()) records.push_back(record_json(record));
      item["list"] = std::move(records);
    }
    list.push_back(std::move(item));
  }
  Json all = Json::object();
  all["directory"] = task.directory.path().string();
  all["models"] = std::move(list);
  return all;
}

// What the tokens stand for, from a server with this model's vocabulary; "" when none answers.
std::string text_from_server(const CacheTask& task, const FoundRecord& found) {
  const auto server = task.server();
  if (!server || found.record.info.tokens.empty()) return "";
  const auto report = get_json(*server, "/admin/cache");
  if (!report || !report->contains("disk")) return "";
  const Json& disk = (*report)["disk"];
  if (!disk.is_object() || !disk.contains("fingerprint") || disk["fingerprint"] != to_hex(found.model.fingerprint))
    return "";
  Json body = Json::object();
  body["tokens"] = found.record.info.tokens;
  const auto answer = post_json(*server, "/detokenize", body);
  if (!answer) return "";
  const auto content = answer->find("content");
  return content != answer->end() && content->is_string() ? content->get<std::string>() : "";
}

struct Sweep {
  DiskStore::Verified sum;
  std::vector<StoredModel> damaged;  // models with bad records
};

Result<Sweep> sweep(const CacheTask& task) {
  Sweep result;
  TRY(const std::vector<StoredModel> models, task.directory.models());
  ProgressLine progress;
  for (const StoredModel& model : models) {
    TRY(const auto store, task.directory.read(model));
    const std::string what = fmt::format("checking {}", without_controls(model_name(model)));
    const auto verified = store->verify([&](std::uint64_t done, std::uint64_t of) {
      progress.show(what, of == 0 ? 1.0F : static_cast<float>(done) / static_cast<float>(of));
      return true;
    });
    result.sum.good += verified.good;
    result.sum.bad += verified.bad;
    result.sum.bytes += verified.bytes;
    if (verified.bad > 0) result.damaged.push_back(model);
  }
  return result;
}

// True when damaged records are out of the way: a reader only counts them.
Result<bool> put_aside(const CacheTask& task, const std::vector<StoredModel>& damaged) {
  for (const StoredModel& model : damaged) {
    TRY(const auto store, task.directory.own(model));
    if (!store) return false;
    store->verify({});
  }
  return true;
}

bool is_request_id(std::string_view id) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' || c == '.';
  };
  for (const char c : id) {
    if (!fits(c)) return false;
  }
  return !id.empty();
}

}  // namespace

Result<ServerAddress> CacheTask::server() const {
  if (!url.empty()) return ServerAddress{url, api_key};
  const auto owner = directory.owner_address();
  if (owner) return ServerAddress{*owner, api_key};
  return fail(Code::busy, fmt::format("another process owns {} and does not say where it listens; name it with --url",
                                      directory.path().string()));
}

Result<int> list_cache(const CacheTask& task) {
  if (!task.url.empty()) return list_server(task);
  TRY(const std::vector<StoredModel> models, task.directory.models());
  if (task.json) {
    TRY(const Json listing, listing_json(task, models));
    put_json(listing);
    return kOk;
  }
  if (models.empty()) {
    put(fmt::format("nothing is kept in {} yet\n", task.directory.path().string()));
    return kOk;
  }
  const std::int64_t now_s = unix_time_s();
  std::string out = models_text(models, now_s, STDOUT_FILENO);
  for (const StoredModel& model : models) {
    if (!task.records) break;
    TRY(const auto store, task.directory.read(model));
    out += fmt::format("\n{}\n", styled(without_controls(model_name(model)), Style::bold, STDOUT_FILENO));
    out += records_text(store->list(), now_s, STDOUT_FILENO);
  }
  put(out);
  return kOk;
}

Result<int> show_record(const CacheTask& task) {
  TRY(const FoundRecord found, task.directory.find(task.word));
  TRY(const auto store, task.directory.read(found.model));
  const auto payload = store->read_now(found.record.info.id);
  RecordDetail detail;
  detail.verdict = payload ? "good" : payload.error().message;
  detail.text = text_from_server(task, found);
  if (!task.json) {
    put(record_text(found, detail, unix_time_s()));
    return payload ? kOk : kFailed;
  }
  Json record = record_json(found.record);
  record["fingerprint"] = to_hex(found.model.fingerprint);
  record["checksum"] = detail.verdict;
  record["tokens"] = found.record.info.tokens;
  record["text"] = detail.text.empty() ? Json() : Json(detail.text);
  put_json(record);
  return payload ? kOk : kFailed;
}

Result<int> verify_cache(const CacheTask& task) {
  if (!task.url.empty()) {
    TRY(const Json verified, post_json({task.url, task.api_key}, "/admin/cache/verify", Json::object()));
    put_json(verified);
    return verified.contains("bad") && verified["bad"] != 0 ? kFailed : kOk;
  }
  TRY(const Sweep result, sweep(task));
  TRY(const bool aside, put_aside(task, result.damaged));
  if (task.json) {
    put_json(app::verified_json(result.sum));
  } else {
    put(fmt::format("{} records are good ({}), {} damaged{}\n", result.sum.good, human_bytes(result.sum.bytes),
                    result.sum.bad,
                    result.sum.bad == 0 ? ""
                    : aside             ? "; those were put aside"
                                        : "; the server that owns the directory puts them aside when it meets them"));
  }
  return result.sum.bad > 0 ? kFailed : kOk;
}

Result<int> export_cache(const CacheTask& task) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(task.word, error);
  if (error) return fail(Code::invalid, fmt::format("{}: {}", shortened(task.word, 200), error.message()));
  if (!task.url.empty()) {
    Json body = Json::object();
    body["path"] = path.string();
    TRY(const Json done, post_json({task.url, task.api_key}, "/admin/cache/export", body));
    put_json(done);
    return kOk;
  }
  if (std::filesystem::exists(path, error))
    return fail(Code::invalid, fmt::format("{} exists already and is not overwritten", path.string()));
  TRY(const StoredModel model, task.directory.model());
  TRY(const auto store, task.directory.read(model));
  TRY(const cache::Archived archived, cache::export_records(*store, {}, path));
  if (task.json) {
    put_json(app::archived_json(archived));
  } else {
    put(fmt::format("{}: {} records of {}, {}\n", path.string(), archived.records, without_controls(model_name(model)),
                    human_bytes(archived.bytes)));
    if (archived.skipped > 0) say(fmt::format("{} could not be read: kvern cache verify", archived.skipped));
  }
  return kOk;
}

Result<int> explain_reuse(const CacheTask& task) {
  if (!is_request_id(task.word))
    return fail(Code::invalid,
                fmt::format("'{}' is no request: write LAST or the id of an answer", shortened(task.word)));
  const auto owner = task.server();
  const ServerAddress server = owner ? *owner : ServerAddress{std::string(kUsualServer), task.api_key};
  TRY(const Json report, get_json(server, "/admin/cache/why/" + task.word));
  if (task.json) {
    put_json(report);
  } else {
    put(why_text(report, unix_time_s(), STDOUT_FILENO));
  }
  return kOk;
}

}  // namespace kvern::cli
