#include "cli/cache_listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/utf8.h"
#include "cli/terminal.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

constexpr std::size_t kShownDigits = 12;
constexpr std::size_t kShownTextBytes = 400;

std::string short_id(const cache::Key& key) { return to_hex(key).substr(0, kShownDigits); }

std::string positions(const cache::RecordInfo& info) {
  if (info.id.kind == cache::RecordKind::turn) return "";
  const std::int64_t end = std::int64_t{info.begin} + static_cast<std::int64_t>(info.tokens.size());
  return info.id.kind == cache::RecordKind::snapshot ? fmt::format("at {}", end)
                                                     : fmt::format("{}-{}", info.begin, end);
}

std::uint64_t number_at(const Json& object, const char* part, const char* name) {
  const auto inner = object.find(part);
  if (inner == object.end() || !inner->is_object()) return 0;
  const auto value = inner->find(name);
  return value != inner->end() && value->is_number() ? value->get<std::uint64_t>() : 0;
}

std::string text_at(const Json& object, const char* name) {
  const auto value = object.find(name);
  return value != object.end() && value->is_string() ? without_controls(value->get_ref<const std::string&>()) : "";
}

}  // namespace

std::string Table::text(int fd) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    widths.push_back(columns_[c].title.size());
    for (const auto& row : rows_) widths[c] = std::max(widths[c], row[c].size());
  }
  const auto line = [&](const auto& cell) {
    std::string out;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) out += "  ";
      out += columns_[c].align == Align::right ? fmt::format("{:>{}}", cell(c), widths[c])
                                               : fmt::format("{:<{}}", cell(c), widths[c]);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
  };
  std::string out = styled(line([&](std::size_t c) { return columns_[c].title; }), Style::dim, fd) + "\n";
  for (const auto& row : rows_) out += line([&](std::size_t c) { return std::string_view(row[c]); }) + "\n";
  return out;
}

std::string human_age(std::int64_t seconds) {
  seconds = std::max<std::int64_t>(seconds, 0);
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 120 * 60) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86'400);
}

std::string models_text(const std::vector<StoredModel>& models, std::int64_t now_s, int fd) {
  using enum Table::Align;
  Table table({{"FINGERPRINT"}, {"MODEL"}, {"RECORDS", right}, {"BYTES", right}, {"LAST USED", right}});
  for (const StoredModel& model : models) {
    table.add({short_id(model.fingerprint), without_controls(model_name(model)), std::to_string(model.records),
               human_bytes(model.bytes), human_age(now_s - model.used_s)});
  }
  return table.text(fd);
}

Json model_json(const StoredModel& model) {
  const auto description = parse_json(model.description);
  return {{"fingerprint", to_hex(model.fingerprint)},
          {"name", model_name(model)},
          {"description", description ? *description : Json()},
          {"records", model.records},
          {"bytes", model.bytes},
          {"used", model.used_s}};
}

std::string records_text(const std::vector<StoredRecord>& records, std::int64_t now_s, int fd) {
  using enum Table::Align;
  Table table({{"KIND"}, {"ID"}, {"TOKENS"}, {"BYTES", right}, {"LAST USED", right}, {"PARENT"}, {""}});
  for (const StoredRecord& record : records) {
    const cache::RecordInfo& info = record.info;
    table.add({to_string(info.id.kind), short_id(info.id.key), positions(info), human_bytes(record.file_bytes),
               human_age(now_s - record.used_s), info.begin > 0 ? short_id(info.parent) : "",
               record.pinned ? "pinned" : ""});
  }
  return table.text(fd);
}

Json record_json(const StoredRecord& record) {
  const cache::RecordInfo& info = record.info;
  return {{"id", to_hex(info.id.key)},
          {"kind", to_string(info.id.kind)},
          {"parent", to_hex(info.parent)},
          {"begin", info.begin},
          {"end", std::int64_t{info.begin} + static_cast<std::int64_t>(info.tokens.size())},
          {"cost_ms", info.cost_ms},
          {"payload_bytes", record.payload_bytes},
          {"bytes", record.file_bytes},
          {"used", record.used_s},
          {"pinned", record.pinned}};
}

std::string record_text(const FoundRecord& found, const RecordDetail& detail, std::int64_t now_s) {
  const StoredRecord& record = found.record;
  const cache::RecordInfo& info = record.info;
  std::string out;
  const auto row = [&](std::string_view label, std::string_view text) {
    out += fmt::format("{:<10} {}\n", label, text);
  };
  row("record", fmt::format("{}:{}", to_string(info.id.kind), to_hex(info.id.key)));
  row("model", fmt::format("{}  ({})", without_controls(model_name(found.model)), short_id(found.model.fingerprint)));
  if (info.id.kind != cache::RecordKind::turn) row("tokens", positions(info));
  row("parent", info.begin > 0 ? to_hex(info.parent) : "none: it begins a prompt");
  row("bytes",
      fmt::format("{} on disk, {} of payload", human_bytes(record.file_bytes), human_bytes(record.payload_bytes)));
  if (info.cost_ms > 0) row("saves", fmt::format("{:.0f} ms of computing", info.cost_ms));
  row("last used", fmt::format("{} ago", human_age(now_s - record.used_s)));
  row("pinned", record.pinned ? "yes" : "no");
  row("checksum", detail.verdict);
  if (!info.tokens.empty())
    row("text", detail.text.empty() ? "only a running server can tell: it has the vocabulary"
                                    : without_controls(shortened(detail.text, kShownTextBytes)));
  return out;
}

std::string server_text(const Json& report) {
  std::string out;
  const auto row = [&](std::string_view label, std::string_view text) {
    out += fmt::format("{:<8} {}\n", label, text);
  };
  const std::string reason = text_at(report, "mode_reason");
  row("mode", text_at(report, "mode") + (reason.empty() ? "" : ": " + reason));
  row("device", fmt::format("{} of {} tokens, {} conversations ({} idle)", number_at(report, "device", "cells_used"),
                            number_at(report, "device", "cells"), number_at(report, "device", "sequences"),
                            number_at(report, "device", "sequences_idle")));
  row("memory",
      fmt::format("{} of {}, {} records", human_bytes(number_at(report, "memory", "bytes")),
                  human_bytes(number_at(report, "memory", "budget_bytes")), number_at(report, "memory", "records")));
  const bool disk = report.contains("disk") && report["disk"].is_object();
  row("disk",
      disk ? fmt::format("{} of {}, {} records of this model", human_bytes(number_at(report, "disk", "bytes")),
                         human_bytes(number_at(report, "disk", "budget_bytes")), number_at(report, "disk", "records"))
           : "none");
  if (disk) {
    const std::string suspended = text_at(report["disk"], "suspended_because");
    if (!suspended.empty()) row("", "not writing: " + suspended);
  }
  row("prompts", fmt::format("{} tokens: {} from the device, {} from memory, {} from disk, {} computed",
                             number_at(report, "prompt_tokens", "all"), number_at(report, "prompt_tokens", "device"),
                             number_at(report, "prompt_tokens", "memory"), number_at(report, "prompt_tokens", "disk"),
                             number_at(report, "prompt_tokens", "computed")));
  return out;
}

std::string held_records_text(const Json& records, int fd) {
  using enum Table::Align;
  Table table({{"KIND"}, {"ID"}, {"TOKENS"}, {"MEMORY", right}, {"DISK"}, {"HITS", right}, {"IDLE", right}});
  const auto list = records.find("records");
  if (list == records.end() || !list->is_array()) return "";
  const auto integer = [](const Json& record, const char* name) {
    const auto value = record.find(name);
    return value != record.end() && value->is_number() ? value->get<std::int64_t>() : 0;
  };
  for (const Json& record : *list) {
    if (!record.is_object()) continue;
    table.add({text_at(record, "kind"), text_at(record, "id").substr(0, kShownDigits),
               fmt::format("{}-{}", integer(record, "begin"), integer(record, "end")),
               human_bytes(static_cast<std::uint64_t>(integer(record, "ram_bytes"))),
               record.contains("on_disk") && record["on_disk"] == true ? "yes" : "no",
               std::to_string(integer(record, "hits")), human_age(integer(record, "idle_s"))});
  }
  return table.text(fd);
}

}  // namespace kvern::cli
