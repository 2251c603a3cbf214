#include "app/cache_admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "api/admin.h"
#include "app/answer.h"
#include "app/cache_json.h"
#include "app/metrics.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "cache/disk/archive.h"

namespace kvern::app {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

void answer_document(const Exchange& exchange, const Result<Json>& body) { answer(*exchange, body.map(dump_json)); }

std::optional<cache::DiskStats> disk_stats(ModelService& model) {
  const cache::DiskStore* disk = model.disk();
  return disk ? std::optional(disk->stats()) : std::nullopt;
}

// The part of the path after the last '/'.
std::string_view last_word(const http::Request& request) {
  const std::string_view path = request.path;
  return path.substr(path.rfind('/') + 1);
}

cache::RecordKind kind_of(std::string_view word) {
  using cache::RecordKind;
  for (const RecordKind kind : {RecordKind::tail, RecordKind::snapshot, RecordKind::turn}) {
    if (word == to_string(kind)) return kind;
  }
  return RecordKind::block;
}

Result<Json> records(ModelService& model, const http::Request& request) {
  TRY(const api::RecordsQuery wanted, api::parse_records_query(request.query));
  std::vector<cache::HeldRecord> held = model.cache_records();
  if (!wanted.kind.empty())
    std::erase_if(held, [&](const auto& record) { return wanted.kind != to_string(record.kind); });
  const std::size_t total = held.size();
  std::stable_sort(held.begin(), held.end(), [](const auto& a, const auto& b) { return a.idle_s < b.idle_s; });
  held.resize(std::min(total, static_cast<std::size_t>(wanted.limit)));
  return held_records_json(held, total);
}

Result<Json> why(ModelService& model, const http::Request& request) {
  const std::string_view id = last_word(request);
  const auto report = model.reuse_log().find(id, model.salt_of(request));
  if (report) return reuse_json(*report);
  if (id == "LAST") return fail(Code::not_found, "no request came yet");
  return fail(Code::not_found, fmt::format("no request '{}' is remembered; the last {} are, by the id of their answer",
                                           shortened(id), schedule::kReuseLogRequests));
}

Result<Json> verify(ModelService& model, cache::DiskStore& disk, const std::string&) {
  return verified_json(disk.verify([&model](std::uint64_t, std::uint64_t) { return !model.stopping(); }));
}

Result<Json> prune(ModelService&, cache::DiskStore& disk, const std::string& body) {
  TRY(const std::uint64_t bytes_max, api::parse_prune_request(body));
  TRY(const std::uint64_t freed, disk.prune(bytes_max));
  return Json{{"freed_bytes", freed}};
}

Result<Json> clear(ModelService&, cache::DiskStore& disk, const std::string&) {
  TRY(const std::uint64_t freed, disk.clear());
  return Json{{"freed_bytes", freed}};
}

Result<Json> set_pin(cache::DiskStore& disk, const std::string& body, bool pinned) {
  TRY(const api::RecordName name, api::parse_record_name(body));
  TRY_OK(disk.pin({kind_of(name.kind), name.key}, pinned));
  return Json{{"id", to_hex(name.key)}, {"kind", name.kind}, {"pinned", pinned}};
}

Result<Json> pin(ModelService&, cache::DiskStore& disk, const std::string& body) { return set_pin(disk, body, true); }
Result<Json> unpin(ModelService&, cache::DiskStore& disk, const std::string& body) {
  return set_pin(disk, body, false);
}

Result<Json> export_to(ModelService&, cache::DiskStore& disk, const std::string& body) {
  TRY(const std::string path, api::parse_file_request(body));
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored))
    return fail(Code::invalid, fmt::format("{} exists already and is not overwritten", shortened(path, 200)), "path");
  TRY(const cache::Archived archived, cache::export_records(disk, {}, path));
  return archived_json(archived);
}

Result<Json> import_from(ModelService& model, cache::DiskStore& disk, const std::string& body) {
  TRY(const std::string path, api::parse_file_request(body));
  TRY(const cache::Archived archived, cache::import_records(disk, path));
  model.stored_from_outside();
  return archived_json(archived);
}

struct Change {
  std::string_view word;
  Result<Json> (*apply)(ModelService& model, cache::DiskStore& disk, const std::string& body);
};

constexpr std::array kChanges = {
    Change{"verify", verify}, Change{"prune", prune},      Change{"clear", clear},        Change{"pin", pin},
    Change{"unpin", unpin},   Change{"export", export_to}, Change{"import", import_from},
};

Result<Json> change(ModelService& model, const http::Request& request) {
  const std::string_view word = last_word(request);
  const auto found =
      std::find_if(kChanges.begin(), kChanges.end(), [&](const Change& one) { return one.word == word; });
  if (found == kChanges.end())
    return fail(Code::not_found,
                fmt::format("'{}' is none of verify, prune, clear, pin, unpin, export, import", shortened(word)));
  TRY_OK(api::check_json(request.header("content-type")));
  cache::DiskStore* disk = model.disk();
  if (disk == nullptr)
    return fail(Code::not_found,
                "this server keeps nothing on disk: it was started with --cache-disk 0 or --no-cache, "
                "or its log says why the cache folder cannot be used");
  // They read gigabytes: more than one would take the threads that prepare requests.
  static std::atomic<bool> under_way = false;
  if (under_way.exchange(true))
    return fail(Code::busy, "another verify, prune, clear, export or import is under way; try again when it is done");
  Result<Json> done = found->apply(model, *disk, request.body);
  under_way = false;
  if (!done) return done;
  log::info("cache", {{"done", word}, {"peer", request.peer}});
  return done;
}

}  // namespace

void serve_cache(ModelService& model, const http::Request&, const Exchange& exchange) {
  answer_document(exchange, report_json(model.cache_report(), model.disk()));
}

void serve_cache_records(ModelService& model, const http::Request& request, const Exchange& exchange) {
  answer_document(exchange, records(model, request));
}

void serve_cache_why(ModelService& model, const http::Request& request, const Exchange& exchange) {
  answer_document(exchange, why(model, request));
}

void serve_cache_change(ModelService& model, const http::Request& request, const Exchange& exchange) {
  answer_document(exchange, change(model, request));
}

void serve_metrics(ModelService& model, const http::Request&, const Exchange& exchange) {
  const schedule::SchedulerStats stats = model.stats();
  const Metrics::Now now{stats.running, stats.waiting, model.cache_report(), disk_stats(model)};
  exchange->respond(200, "text/plain; version=0.0.4; charset=utf-8", model.metrics().text(now));
}

}  // namespace kvern::app
