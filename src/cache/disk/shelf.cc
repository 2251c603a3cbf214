#include "cache/disk/shelf.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/log.h"
#include "cache/disk/layout.h"

namespace kvern::cache {
namespace {

namespace fs = std::filesystem;

// Enough to look at what went wrong; the rest is removed.
constexpr std::size_t kQuarantineFiles = 16;
constexpr std::uint64_t kQuarantineBytes = 64ULL << 20;
constexpr std::uint64_t kNoteBytes = 64 * 1024;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Shelf::Shelf(FileSystem& files, fs::path directory, DiskIdentity identity)
    : files_(files),
      directory_(std::move(directory)),
      identity_(std::move(identity)),
      folder_(directory_ / layout::kVersion / to_hex(identity_.fingerprint)) {}

fs::path Shelf::path_of(const RecordId& id) const { return folder_ / layout::shard(id.key) / file_name(id); }

fs::path Shelf::pin_path_of(const RecordId& id) const {
  return folder_ / layout::shard(id.key) / (file_name(id) + std::string(layout::kPin));
}

Status Shelf::make_folders() {
  TRY_OK(files_.make_directory(folder_));
  const fs::path model = folder_ / layout::kModel;
  const auto there = files_.read(model, 0, kNoteBytes);
  if (!there || text_of(*there) != identity_.description) TRY_OK(replace(model, identity_.description));
  for (fs::path at = folder_; at != directory_; at = at.parent_path()) TRY_OK(files_.sync_directory(at));
  TRY_OK(files_.sync_directory(directory_));
  // The directory itself may be new as well; where its parent may not be opened, that is not ours to sync.
  [[maybe_unused]] const Status ignored = files_.sync_directory(directory_.parent_path());
  safe_folders_.insert(folder_);
  return {};
}

Status Shelf::ensure_folder(const fs::path& shard) {
  if (safe_folders_.contains(shard)) return {};
  if (safe_folders_.contains(folder_)) {
    const auto there = files_.facts(folder_);
    lost_folders_ = lost_folders_ || (!there && there.error().code == Code::not_found);
    if (!there) safe_folders_.clear();
  }
  if (!safe_folders_.contains(folder_)) TRY_OK(make_folders());
  TRY_OK(files_.make_directory(shard));
  unsynced_.insert(folder_);
  unsynced_shards_.insert(shard);
  return {};
}

Result<SharedBytes> Shelf::load(const RecordId& id) const {
  const fs::path path = path_of(id);
  TRY(const auto head, files_.read(path, 0, kPrefixBytesMax));
  TRY(const auto prefix, decode_prefix(head));
  if (prefix.info.id != id) return fail(Code::corrupt, "it is another record than its name says");
  if (prefix.fingerprint != identity_.fingerprint) return fail(Code::corrupt, "it is another model's");
  // One byte more than there should be: trailing bytes are damage, too.
  const std::size_t before = prefix_bytes(prefix.info.tokens.size());
  TRY(auto payload, files_.read(path, before, prefix.payload_bytes + 1));
  TRY_OK(check_payload(prefix, payload));
  return std::make_shared<const engine::Bytes>(std::move(payload));
}

Result<std::uint64_t> Shelf::publish(const RecordInfo& info, std::span<const std::byte> payload) {
  const auto prefix = encode_prefix(info, identity_.fingerprint, payload);
  const std::array<std::span<const std::byte>, 2> parts = {prefix, payload};
  const fs::path path = path_of(info.id);
  const fs::path shard = path.parent_path();
  fs::path temporary = path;
  temporary += fmt::format(".{}-{}{}", ::getpid(), ++serial_, layout::kTemporary);

  TRY_OK(ensure_folder(shard));
  Status written = files_.write_new(temporary, parts);
  if (!written && written.error().code == Code::not_found) {
    lost_folders_ = true;
    safe_folders_.clear();
    TRY_OK(ensure_folder(shard));
    written = files_.write_new(temporary, parts);
  }
  if (written) written = files_.rename(temporary, path);
  if (!written) {
    abandon(temporary);
    abandon(path);  // a rename that failed may still have happened
    return fail(written.error().code, written.error().message);
  }
  unsynced_.insert(shard);
  forget_replaced(path);
  const auto facts = files_.facts(path);
  const std::uint64_t allocated = facts ? facts->allocated_bytes : prefix.size() + payload.size();
  bytes_ += allocated;
  return allocated;
}

Status Shelf::sync() {
  Status result;
  for (const fs::path& directory : unsynced_) {
    if (Status synced = files_.sync_directory(directory); !synced && result) result = std::move(synced);
  }
  unsynced_.clear();
  if (result) safe_folders_.merge(unsynced_shards_);
  unsynced_shards_.clear();
  return result;
}

// A new record has taken the name of a file that was to be removed, or could not be used.
void Shelf::forget_replaced(const fs::path& path) {
  std::erase_if(leftovers_, [&](const Leftover& leftover) {
    if (leftover.path != path) return false;
    subtract(leftover.bytes);
    return true;
  });
  if (unreadable_.erase(path) == 0) return;
  std::erase_if(others_, [&](const OtherFile& file) {
    if (file.path != path) return false;
    subtract(file.bytes);
    return true;
  });
}

void Shelf::abandon(const fs::path& path) {
  const Status removed = files_.remove(path);
  if (removed || removed.error().code == Code::not_found) return;
  const auto facts = files_.facts(path);
  if (!facts && facts.error().code == Code::not_found) return;
  const std::uint64_t bytes = facts ? facts->allocated_bytes : 0;
  bytes_ += bytes;
  leftovers_.push_back({path, bytes});
}

void Shelf::remove_counted(const fs::path& path, std::uint64_t bytes) {
  const Status removed = files_.remove(path);
  if (removed || removed.error().code == Code::not_found) {
    subtract(bytes);
  } else {
    leftovers_.push_back({path, bytes});
  }
}

void Shelf::clear_leftovers() {
  std::vector<Leftover> leftovers;
  leftovers.swap(leftovers_);
  for (const Leftover& leftover : leftovers) remove_counted(leftover.path, leftover.bytes);
}

void Shelf::remove(const RecordId& id, std::uint64_t bytes) { remove_counted(path_of(id), bytes); }

void Shelf::remove_others(std::vector<std::size_t> indices) {
  std::sort(indices.begin(), indices.end(), std::greater<>());
  for (const std::size_t index : indices) {
    const OtherFile file = others_[index];
    others_[index] = std::move(others_.back());
    others_.pop_back();
    remove_counted(file.path, file.bytes);
  }
}

void Shelf::put_aside(const RecordId& id, std::uint64_t bytes, const Error& why) {
  put_path_aside(path_of(id), bytes, why.message);
}

void Shelf::put_path_aside(const fs::path& path, std::uint64_t bytes, const std::string& why) {
  // Once as a warning: a dying disk must not fill the log.
  log::write(warned_ ? log::Level::debug : log::Level::warn, "cache record damaged",
             {{"file", path.filename().string()}, {"why", why}});
  warned_ = true;
  std::size_t kept = 0;
  std::uint64_t kept_bytes = bytes;
  const fs::path quarantine = directory_ / layout::kQuarantine;
  const fs::path target = quarantine / path.filename();
  bool taken = false;
  for (const OtherFile& file : others_) {
    if (file.path.parent_path() != quarantine) continue;
    ++kept;
    kept_bytes += file.bytes;
    taken = taken || file.path == target;
  }
  const bool room = kept < kQuarantineFiles && kept_bytes <= kQuarantineBytes && !taken;
  if (room && files_.make_directory(quarantine) && files_.rename(path, target)) {
    others_.push_back({OtherFile::What::useless, target, bytes, 0, false});
    return;
  }
  remove_counted(path, bytes);
}

Status Shelf::set_pinned(const RecordId& id, bool pinned) {
  const fs::path path = pin_path_of(id);
  if (pinned) {
    if (!files_.facts(path)) TRY_OK(files_.write_new(path, {}));
  } else if (const Status removed = files_.remove(path); !removed && removed.error().code != Code::not_found) {
    return removed;
  }
  return files_.sync_directory(path.parent_path());
}

// Late or lost is fine: a time only says what to evict first.
void Shelf::set_used(const RecordId& id, std::int64_t used_s) {
  [[maybe_unused]] const Status ignored = files_.set_modified(path_of(id), used_s);
}

std::string Shelf::read_note(const std::string& name) const {
  const auto bytes = files_.read(directory_ / name, 0, kNoteBytes);
  return bytes ? text_of(*bytes) : std::string();
}

Status Shelf::write_note(const std::string& name, const std::string& text) { return replace(directory_ / name, text); }

Status Shelf::replace(const fs::path& path, const std::string& text) {
  fs::path temporary = path;
  temporary += fmt::format(".{}-{}{}", ::getpid(), ++serial_, layout::kTemporary);
  const std::array parts = {std::as_bytes(std::span(text))};
  const auto before = files_.facts(path);
  Status written = files_.write_new(temporary, parts);
  if (written) written = files_.rename(temporary, path);
  if (!written) {
    abandon(temporary);
    return written;
  }
  if (before) subtract(before->allocated_bytes);
  if (const auto after = files_.facts(path)) bytes_ += after->allocated_bytes;
  return {};
}

}  // namespace kvern::cache
