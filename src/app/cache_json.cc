#include "app/cache_json.h"

#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace kvern::app {
namespace {

Json disk_json(const cache::DiskStore& store) {
  const cache::DiskStats disk = store.stats();
  return {{"fingerprint", to_hex(store.fingerprint())},
          {"owner", disk.owner},
          {"records", disk.records},
          {"bytes", disk.bytes},
          {"budget_bytes", disk.budget_bytes},
          {"queued_bytes", disk.queued_bytes},
          {"reads", disk.reads},
          {"read_bytes", disk.read_bytes},
          {"read_us", disk.read_us},
          {"writes", disk.writes},
          {"written_bytes", disk.written_bytes},
          {"writes_dropped", disk.writes_dropped},
          {"write_failures", disk.write_failures},
          {"evictions", disk.evictions},
          {"damaged", disk.damaged},
          {"suspended_because", disk.suspended_because}};
}

std::string_view word(SegmentKind kind) {
  switch (kind) {
    case SegmentKind::head: return "head";
    case SegmentKind::user: return "user";
    case SegmentKind::assistant: return "assistant";
    case SegmentKind::tool: return "tool";
    case SegmentKind::header: return "header";
  }
  return "head";
}

Json shown_json(std::span<const schedule::ShownToken> tokens) {
  Json list = Json::array();
  for (const schedule::ShownToken& token : tokens) list.push_back({{"id", token.token}, {"text", token.text}});
  return list;
}

}  // namespace

Json report_json(const cache::CacheReport& report, const cache::DiskStore* disk) {
  return {{"mode", report.mode},
          {"mode_reason", report.mode_reason},
          {"device",
           {{"cells", report.cells},
            {"cells_used", report.cells_used},
            {"sequences", report.sequences},
            {"sequences_idle", report.sequences_idle}}},
          {"memory",
           {{"bytes", report.ram_bytes},
            {"budget_bytes", report.ram_budget_bytes},
            {"records", report.records_ram},
            {"evictions", report.ram_evictions}}},
          {"disk", disk ? disk_json(*disk) : Json()},
          {"snapshots", report.snapshots},
          {"prompt_tokens",
           {{"all", report.prompt_tokens},
            {"device", report.device_tokens},
            {"memory", report.memory_tokens},
            {"disk", report.disk_tokens},
            {"computed", report.computed_tokens}}},
          {"rates", {{"prefill_tokens_s", report.prefill_tokens_s}, {"disk_bytes_s", report.disk_bytes_s}}}};
}

Json held_records_json(std::span<const cache::HeldRecord> records, std::size_t total) {
  Json list = Json::array();
  for (const cache::HeldRecord& record : records) {
    list.push_back({{"id", to_hex(record.key)},
                    {"kind", to_string(record.kind)},
                    {"parent", to_hex(record.parent)},
                    {"begin", record.begin},
                    {"end", record.end},
                    {"ram_bytes", record.ram_bytes},
                    {"on_disk", record.on_disk},
                    {"hits", record.hits},
                    {"idle_s", record.idle_s}});
  }
  return {{"total", total}, {"records", std::move(list)}};
}

Json verified_json(const cache::DiskStore::Verified& verified) {
  return {{"good", verified.good}, {"bad", verified.bad}, {"bytes", verified.bytes}};
}

Json archived_json(const cache::Archived& archived) {
  return {{"records", archived.records},
          {"bytes", archived.bytes},
          {"skipped", archived.skipped},
          {"damaged", archived.damaged}};
}

Json reuse_json(const schedule::ReuseReport& report) {
  const Usage& usage = report.usage;
  return {{"id", report.id},
          {"created", report.created_s},
          {"ended", report.ended},
          {"why", to_string(usage.why)},
          {"position", report.position},
          {"segment", report.segment ? Json(word(*report.segment)) : Json()},
          {"prompt_tokens", usage.prompt_tokens},
          {"reused_device_tokens", usage.reused_device_tokens},
          {"reused_memory_tokens", usage.reused_memory_tokens},
          {"reused_disk_tokens", usage.reused_disk_tokens},
          {"computed_tokens", usage.computed_tokens()},
          {"before", shown_json(report.before)},
          {"held", shown_json(report.held)},
          {"now", shown_json(report.now)}};
}

}  // namespace kvern::app
