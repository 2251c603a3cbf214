// Opening: whose directory it is, and what lies in it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/json_text.h"
#include "base/log.h"
#include "cache/disk/layout.h"
#include "cache/disk/store_state.h"

namespace kvern::cache {
namespace {

constexpr std::uint64_t kNoteBytes = 4096;
constexpr std::int64_t kRescanInterval_us = 60'000'000;

std::string lock_note(const std::string& address) {
  std::string note = fmt::format("{{\"pid\":{}", ::getpid());
  if (!address.empty()) {
    note += ",\"address\":";
    append_json_string(note, address);
  }
  return note + "}\n";
}

}  // namespace

DiskStore::State::State(FileSystem& files_in, const Clock& clock_in, DiskOptions options_in, DiskIdentity identity_in)
    : files(files_in),
      clock(clock_in),
      options(std::move(options_in)),
      identity(std::move(identity_in)),
      shelf(files, options.directory, identity) {}

DiskStore::State::~State() {
  if (!thread.joinable()) return;
  thread.request_stop();
  wake_up();
  thread.join();
}

Status DiskStore::State::open() {
  opened_us = clock.now_us();
  opened_s = unix_time_s();
  if (options.read_only) {
    reader_because = "opened for reading only";
  } else if (const Status made = files.make_directory(options.directory); !made) {
    reader_because = made.error().message;
  } else if (auto taken = files.lock(options.directory / layout::kLock, lock_note(options.owner_note)); !taken) {
    reader_because = taken.error().message;
  } else if (!*taken) {
    reader_because = "another process writes here";
  } else {
    lock = std::move(*taken);
    owner = true;
  }
  if (owner) {
    // Not fatal: the first write tries again, and says why it fails.
    if (const Status made = shelf.make_folders(); !made) log::warn("cache folder", {{"why", made.error().message}});
    daily = DailyWrites::parse(shelf.read_note(std::string(layout::kWritten)), wall_s());
  }
  auto found = shelf.scan(owner ? Access::owner : Access::reader);
  if (!found) return fail(Code::failed, found.error().message);
  take_found(std::move(*found));
  settle();  // the budget may be smaller than last time
  events.clear();
  stats.bytes = shelf.bytes();
  return {};
}

void DiskStore::State::take_found(Shelf::Found found) {
  for (StoredRecord& record : found.records) {
    const RecordId id = record.info.id;
    const bool going = std::any_of(removals.begin(), removals.end(), [&](const Removal& r) { return r.id == id; });
    if (going || index.contains(id)) continue;
    Entry entry;
    entry.payload_bytes = record.payload_bytes;
    entry.file_bytes = record.file_bytes;
    entry.used_s = entry.saved_used_s = record.used_s;
    entry.pinned = record.pinned;
    entry.safe = true;
    entry.info = std::move(record.info);
    index.emplace(id, std::move(entry));
  }
  stats.damaged += found.damaged;
  rescan_at_us = found.complete ? -1 : clock.now_us() + kRescanInterval_us;
}

void DiskStore::State::start() {
  thread = std::jthread([this](std::stop_token stop) { work(std::move(stop)); });
}

Result<std::string> DiskStore::owner_note(FileSystem& files, const std::filesystem::path& directory) {
  TRY(const auto bytes, files.read(directory / layout::kLock, 0, kNoteBytes));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto note = parse_json(text);
  if (note && note->is_object()) {
    const auto address = note->find("address");
    if (address != note->end() && address->is_string()) return address->get<std::string>();
  }
  return fail(Code::not_found, fmt::format("no process says that it owns {}", directory.string()));
}

}  // namespace kvern::cache
