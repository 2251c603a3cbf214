#include "app/disk_tier.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/json.h"
#include "base/log.h"

namespace kvern::app {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
// Unasked, records take a tenth of the disk and at most half of what is free.
constexpr std::uint64_t kDiskBytesMax = 64 * kGiB;
constexpr std::uint64_t kFreeFloorMax = 10 * kGiB;
// What losing a turn may cost: a conversation computed anew from there on. For its few bytes a turn
// then outlives blocks.
constexpr float kTurnCost_ms = 100;
// What a consumer's SSD is built to take for years.
constexpr std::uint64_t kQueueBytesMin = std::uint64_t{1} << 20;
constexpr std::uint64_t kDailyWriteBytes = 128 * kGiB;

std::filesystem::path existing(std::filesystem::path path) {
  std::error_code error;
  while (!std::filesystem::exists(path, error) && path.has_parent_path() && path != path.parent_path())
    path = path.parent_path();
  return path;
}

// What the folder holds already, which the budget may count as free.
std::uint64_t held_bytes(const std::filesystem::path& folder) {
  std::uint64_t sum = 0;
  std::error_code error;
  using Walk = std::filesystem::recursive_directory_iterator;
  for (Walk at(folder, std::filesystem::directory_options::skip_permission_denied, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code ignored;
    const auto bytes = at->is_regular_file(ignored) ? at->file_size(ignored) : 0;
    if (!ignored) sum += bytes;
  }
  return sum;
}

struct Room {
  std::uint64_t budget_bytes = 0;
  std::uint64_t floor_bytes = 0;
};

Room room(const ServeOptions& options, const std::filesystem::path& folder) {
  const auto space = file_system().space(existing(folder));
  Room room;
  if (space) {
    room.floor_bytes = std::min(kFreeFloorMax, space->total_bytes / 20);
    room.budget_bytes =
        std::min({kDiskBytesMax, space->total_bytes / 10, (space->free_bytes + held_bytes(folder)) / 2});
  }
  if (options.cache_disk_bytes) room.budget_bytes = *options.cache_disk_bytes;
  return room;
}

std::string describe(const engine::Info& info, const std::string& name) {
  return dump_json(Json{{"name", info.name.empty() ? name : info.name},
                        {"architecture", info.architecture},
                        {"bytes", info.model_bytes},
                        {"parts", info.fingerprint_parts}});
}

}  // namespace

bool wants_disk(const ServeOptions& options) {
  return !options.no_cache && !options.cache_dir.empty() && options.cache_disk_bytes.value_or(1) > 0;
}

std::unique_ptr<cache::DiskStore> open_disk(const ServeOptions& options, const engine::Info& info,
                                            const std::string& name, const std::string& address) {
  if (!wants_disk(options)) return nullptr;
  cache::DiskOptions disk;
  disk.directory = record_folder(options.cache_dir);
  const Room found = room(options, disk.directory);
  disk.budget_bytes = found.budget_bytes;
  disk.free_floor_bytes = found.floor_bytes;
  disk.daily_write_bytes = kDailyWriteBytes;
  disk.queue_bytes = std::clamp(found.budget_bytes / 4, kQueueBytesMin, disk.queue_bytes);
  disk.owner_note = address;
  auto opened =
      cache::DiskStore::open(file_system(), steady_clock(), disk, {cache::fingerprint(info), describe(info, name)});
  if (opened) return std::move(*opened);
  log::warn("no disk cache", {{"folder", disk.directory.string()}, {"why", opened.error().message}});
  return nullptr;
}

void recover(cache::DiskStore& disk, cache::PrefixCache& cache, chat::TurnIndex& turns) {
  std::vector<cache::StoredRecord> records = disk.list();
  add_stored(records, cache);
  // The last used last, so that what does not fit is the oldest.
  std::erase_if(records, [](const auto& record) { return record.info.id.kind != cache::RecordKind::turn; });
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.used_s < b.used_s; });
  std::size_t recalled = 0;
  for (const cache::StoredRecord& record : records) {
    const auto bytes = disk.read_now(record.info.id);
    if (!bytes) continue;
    const auto* text = reinterpret_cast<const char*>((*bytes)->data());
    if (turns.restore({text, (*bytes)->size()})) ++recalled;
  }
  log::info("disk cache", {{"records", disk.stats().records}, {"turns", recalled}, {"owner", disk.owner()}});
}

void add_stored(const std::vector<cache::StoredRecord>& records, cache::PrefixCache& cache) {
  const std::int64_t now_s = unix_time_s();
  for (const cache::StoredRecord& record : records) {
    if (record.info.id.kind != cache::RecordKind::turn)
      cache.add_stored(record.info, record.payload_bytes, now_s - record.used_s);
  }
}

void keep_turns(chat::TurnIndex& turns, cache::DiskStore& disk, const cache::Key& root) {
  turns.on_remember = [&disk, root](const Sha256& id, const std::string& bytes) {
    cache::RecordInfo info;
    info.id = {cache::RecordKind::turn, id};
    info.parent = root;
    info.cost_ms = kTurnCost_ms;
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
    disk.write(std::move(info), std::make_shared<const engine::Bytes>(begin, begin + bytes.size()));
  };
  turns.on_forget = [&disk](const Sha256& id) { disk.remove({cache::RecordKind::turn, id}); };
}

}  // namespace kvern::app
