// Shelf::scan(): what lies below a directory after a start, a crash or somebody's rm.
//
// Nothing is believed: neither names nor an index written at shutdown. Headers are small; reading all
// of them is the index.
#include <fmt/format.h>

#include <unordered_map>

#include "cache/disk/layout.h"
#include "cache/disk/shelf.h"

namespace kvern::cache {
namespace {

namespace fs = std::filesystem;

constexpr int kDepth = 16;  // of folders we did not make

using Entries = std::vector<FileSystem::Entry>;

}  // namespace

struct Shelf::Walk {
  Shelf& shelf;
  Access access;
  Found found;

  bool owner() const { return access == Access::owner; }

  // A folder that cannot be listed is as good as empty.
  Entries list(const fs::path& folder) {
    auto entries = shelf.files_.list(folder);
    if (entries) return std::move(*entries);
    if (entries.error().code != Code::not_found) found.complete = false;
    return {};
  }

  // Counts the file. Nothing when it is gone already.
  std::optional<FileSystem::Facts> count(const fs::path& path) {
    const auto facts = shelf.files_.facts(path);
    if (!facts) {
      if (facts.error().code != Code::not_found) found.complete = false;
      return std::nullopt;
    }
    shelf.bytes_ += facts->allocated_bytes;
    return *facts;
  }

  bool clear_temporary(const fs::path& path, const std::string& name) {
    if (!layout::is_temporary(name)) return false;
    // A reader sees the owner's writes in progress here.
    if (const auto facts = count(path); facts && owner()) shelf.remove_counted(path, facts->allocated_bytes);
    return true;
  }

  // Files of others' making count, but only those in our own folders are ever removed.
  void other_tree(const fs::path& folder, bool evictable, int depth) {
    if (depth > kDepth) return;
    for (const FileSystem::Entry& entry : list(folder)) {
      const fs::path path = folder / entry.name;
      if (entry.directory) {
        other_tree(path, evictable, depth + 1);
      } else if (const auto facts = count(path); facts && evictable) {
        shelf.others_.push_back({OtherFile::What::useless, path, facts->allocated_bytes, facts->modified_s, false});
      }
    }
  }

  void top(const Entries& entries) {
    for (const FileSystem::Entry& entry : entries) {
      const fs::path path = shelf.directory_ / entry.name;
      if (entry.name == layout::kLock) continue;
      if (!entry.directory) {
        if (entry.name.starts_with(layout::kWritten) && clear_temporary(path, entry.name)) continue;
        count(path);
      } else if (entry.name == layout::kVersion) {
        models(path);
      } else {
        other_tree(path, layout::is_version(entry.name) || entry.name == layout::kQuarantine, 0);
      }
    }
  }

  void models(const fs::path& folder) {
    for (const FileSystem::Entry& entry : list(folder)) {
      const fs::path path = folder / entry.name;
      if (!entry.directory) {
        count(path);
      } else if (path == shelf.folder_) {
        own_model(path);
      } else if (parse_key(entry.name)) {
        other_model(path);
      } else {
        other_tree(path, false, 0);
      }
    }
  }

  void own_model(const fs::path& folder) {
    // A process that was killed may have left names that no sync covers yet.
    const std::uint64_t counted = shelf.bytes_;
    const bool sure = !owner() || shelf.make_folders();
    shelf.bytes_ = counted;  // what that wrote is counted below
    shelf.leftovers_.clear();
    for (const FileSystem::Entry& shard : list(folder)) {
      const fs::path path = folder / shard.name;
      if (!shard.directory) {
        if (!clear_temporary(path, shard.name)) count(path);
        continue;
      }
      const std::size_t first = found.records.size();
      own_shard(path);
      if (!owner() || first == found.records.size()) continue;
      if (sure && shelf.files_.sync_directory(path)) {
        shelf.safe_folders_.insert(path);
      } else {
        leave_unused(path, first);
      }
    }
  }

  // They may vanish in a crash, so nobody may be told that they are safe. The next scan tries again.
  void leave_unused(const fs::path& shard, std::size_t first) {
    for (std::size_t i = first; i < found.records.size(); ++i) {
      const StoredRecord& record = found.records[i];
      const fs::path path = shard / file_name(record.info.id);
      shelf.others_.push_back({OtherFile::What::record, path, record.file_bytes, record.used_s, record.pinned});
      shelf.unreadable_.insert(path);
    }
    found.records.resize(first);
    found.complete = false;
  }

  void own_shard(const fs::path& folder) {
    std::vector<std::string> pins;
    const std::size_t first = found.records.size();
    for (const FileSystem::Entry& entry : list(folder)) {
      const fs::path path = folder / entry.name;
      if (entry.directory) {
        other_tree(path, false, 0);
      } else if (entry.name.ends_with(layout::kPin)) {
        pins.push_back(entry.name.substr(0, entry.name.size() - layout::kPin.size()));
        count(path);
      } else if (!clear_temporary(path, entry.name)) {
        own_file(path, folder.filename().string());
      }
    }
    for (const std::string& pin : pins) {
      bool used = false;
      for (std::size_t i = first; i < found.records.size(); ++i) {
        if (file_name(found.records[i].info.id) != pin) continue;
        found.records[i].pinned = used = true;
      }
      // A pin without its record would pin a later one of the same name.
      if (!used && owner()) shelf.remove_counted(folder / (pin + std::string(layout::kPin)), 0);
    }
  }

  void own_file(const fs::path& path, const std::string& shard) {
    const auto facts = count(path);
    if (!facts) return;
    auto prefix = check_header(path, shard, facts->bytes);
    if (prefix) {
      found.records.push_back(
          {std::move(prefix->info), prefix->payload_bytes, facts->allocated_bytes, facts->modified_s, false});
      return;
    }
    if (prefix.error().code == Code::not_found) {
      shelf.subtract(facts->allocated_bytes);
      return;
    }
    if (prefix.error().code == Code::failed) {
      // Too many open files, perhaps: no reason to throw it away, and no way to use it now.
      shelf.others_.push_back({OtherFile::What::record, path, facts->allocated_bytes, facts->modified_s, false});
      shelf.unreadable_.insert(path);
      return;
    }
    ++found.damaged;
    if (const auto id = parse_file_name(path.filename().string())) found.damaged_records.push_back(*id);
    if (owner()) shelf.put_path_aside(path, facts->allocated_bytes, prefix.error().message);
  }

  Result<RecordPrefix> check_header(const fs::path& path, const std::string& shard, std::uint64_t bytes) const {
    const auto id = parse_file_name(path.filename().string());
    if (!id) return fail(Code::corrupt, "its name is no record's");
    if (layout::shard(id->key) != shard) return fail(Code::corrupt, "it lies in the wrong folder");
    TRY(const auto head, shelf.files_.read(path, 0, kPrefixBytesMax));
    TRY(auto prefix, decode_prefix(head));
    if (prefix.info.id != *id) return fail(Code::corrupt, "it is another record than its name says");
    if (prefix.fingerprint != shelf.identity_.fingerprint) return fail(Code::corrupt, "it is another model's");
    if (prefix.file_bytes() != bytes) {
      return fail(Code::corrupt, fmt::format("{} bytes long, not {}", bytes, prefix.file_bytes()));
    }
    return prefix;
  }

  void other_model(const fs::path& folder) {
    std::unordered_map<std::string, std::size_t> records;  // file name -> index in others_
    std::vector<std::string> pins;
    for (const FileSystem::Entry& shard : list(folder)) {
      const fs::path path = folder / shard.name;
      if (!shard.directory) {
        if (!clear_temporary(path, shard.name)) count(path);
        continue;
      }
      for (const FileSystem::Entry& entry : list(path)) {
        const fs::path file = path / entry.name;
        if (entry.directory || clear_temporary(file, entry.name)) continue;
        const auto facts = count(file);
        if (!facts) continue;
        if (entry.name.ends_with(layout::kPin)) {
          pins.push_back(entry.name.substr(0, entry.name.size() - layout::kPin.size()));
        } else if (parse_file_name(entry.name)) {
          records.emplace(entry.name, shelf.others_.size());
          shelf.others_.push_back({OtherFile::What::record, file, facts->allocated_bytes, facts->modified_s, false});
        }
      }
    }
    for (const std::string& pin : pins) protect(pin, records);
  }

  // A pinned record of another model stays, and so does all it builds on; its header says what that is.
  void protect(std::string name, const std::unordered_map<std::string, std::size_t>& records) {
    for (auto at = records.find(name); at != records.end(); at = records.find(name)) {
      OtherFile& file = shelf.others_[at->second];
      if (file.pinned) return;
      file.pinned = true;
      const auto head = shelf.files_.read(file.path, 0, kPrefixBytesMax);
      if (!head) return;
      const auto prefix = decode_prefix(*head);
      if (!prefix) return;
      // A snapshot needs the rows of its own node as well.
      if (prefix->info.id.kind == RecordKind::snapshot) {
        for (const RecordKind kind : {RecordKind::block, RecordKind::tail}) {
          const auto rows = records.find(file_name({kind, prefix->info.id.key}));
          if (rows != records.end()) shelf.others_[rows->second].pinned = true;
        }
      }
      name = file_name({RecordKind::block, prefix->info.parent});
    }
  }
};

Result<Shelf::Found> Shelf::scan(Access access) {
  TRY(const auto entries, files_.list(directory_));
  bytes_ = 0;
  others_.clear();
  leftovers_.clear();
  unreadable_.clear();
  lost_folders_ = false;
  Walk walk{*this, access, {}};
  walk.top(entries);
  return std::move(walk.found);
}

}  // namespace kvern::cache
