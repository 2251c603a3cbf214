#include "cache/disk/archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <system_error>
#include <unordered_set>

#include "cache/disk/layout.h"

namespace kvern::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "KVERNARC";
constexpr std::uint32_t kArchiveVersion = 1;
constexpr std::size_t kArchiveHeaderBytes = 48;  // magic, version, zero, fingerprint
// Of one record: several times the largest snapshots there are.
constexpr std::uint64_t kImportedBytesMax = 1ULL << 30;
constexpr std::uint64_t kDescriptionBytes = 64 * 1024;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

tl::unexpected<Error> fail_errno(const char* what, const fs::path& path) {
  return fail(Code::failed,
              fmt::format("cannot {} {}: {}", what, path.string(), std::generic_category().message(errno)));
}

void put(std::vector<std::byte>& to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to.push_back(static_cast<std::byte>(value >> (8 * i)));
}

std::uint64_t get(std::span<const std::byte> from) {
  std::uint64_t value = 0;
  for (std::size_t i = from.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(from[i]);
  return value;
}

std::vector<std::byte> header(const Key& fingerprint) {
  std::vector<std::byte> bytes;
  for (const char c : kMagic) bytes.push_back(static_cast<std::byte>(c));
  put(bytes, kArchiveVersion, 4);
  put(bytes, 0, 4);
  for (const std::uint8_t byte : fingerprint) bytes.push_back(static_cast<std::byte>(byte));
  return bytes;
}

bool write(const File& file, std::span<const std::byte> bytes) {
  return std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
}

bool read(const File& file, std::span<std::byte> bytes) {
  return std::fread(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
}

// Token ids are readable text: for their owner alone.
File create(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  return File(fd < 0 ? nullptr : ::fdopen(fd, "wb"));
}

// A pipe or a device would never end, or never begin.
Result<File> open_regular(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  File file(fd < 0 ? nullptr : ::fdopen(fd, "rb"));
  if (!file) return fail_errno("open", path);
  struct stat facts {};
  if (::fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode))
    return fail(Code::invalid, fmt::format("{} is no file", path.string()));
  return file;
}

bool write_length(const File& file, std::uint64_t length) {
  std::vector<std::byte> bytes;
  put(bytes, length, 8);
  return write(file, bytes);
}

Status write_archive(DiskStore& store, const std::vector<RecordId>& ids, const fs::path& path, Archived& archived) {
  const File file = create(path);
  if (!file) return fail_errno("create", path);
  if (!write(file, header(store.fingerprint()))) return fail_errno("write", path);
  const std::unordered_set<RecordId, RecordIdHasher> wanted(ids.begin(), ids.end());
  for (const StoredRecord& record : store.list()) {
    if (!wanted.empty() && !wanted.contains(record.info.id)) continue;
    const auto payload = store.read_now(record.info.id);
    if (!payload) {
      ++archived.skipped;
      continue;
    }
    const auto prefix = encode_prefix(record.info, store.fingerprint(), **payload);
    const std::uint64_t length = prefix.size() + (*payload)->size();
    if (!write_length(file, length) || !write(file, prefix) || !write(file, **payload)) {
      return fail_errno("write", path);
    }
    ++archived.records;
    archived.bytes += length;
  }
  // A length of 0 ends an archive, so that one that was cut is noticed.
  if (!write_length(file, 0) || std::fflush(file.get()) != 0 || ::fsync(::fileno(file.get())) != 0) {
    return fail_errno("write", path);
  }
  return {};
}

Status check_archive(const File& file, const fs::path& path, const Key& fingerprint) {
  std::vector<std::byte> bytes(kArchiveHeaderBytes);
  if (!read(file, bytes) || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return fail(Code::invalid, fmt::format("{} is no archive of cache records", path.string()));
  }
  if (const std::uint64_t version = get(std::span(bytes).subspan(8, 4)); version != kArchiveVersion) {
    return fail(Code::invalid,
                fmt::format("{} is of version {}; this program reads {}", path.string(), version, kArchiveVersion));
  }
  Key key{};
  std::memcpy(key.data(), bytes.data() + 16, key.size());
  if (key == fingerprint) return {};
  return fail(Code::invalid,
              fmt::format("{} holds records of another model or other KV settings (fingerprint {}..., not {}...)",
                          path.string(), to_hex(std::span(key).first(6)), to_hex(std::span(fingerprint).first(6))));
}

// A record that passed every check.
struct ArchivedRecord {
  RecordInfo info;
  SharedBytes payload;
};

Result<ArchivedRecord> check_record(std::span<const std::byte> bytes, const Key& fingerprint) {
  TRY(auto prefix, decode_prefix(bytes.first(std::min(bytes.size(), kPrefixBytesMax))));
  if (prefix.fingerprint != fingerprint) return fail(Code::corrupt, "a record of another model");
  const auto payload = bytes.subspan(prefix_bytes(prefix.info.tokens.size()));
  TRY_OK(check_payload(prefix, payload));
  return ArchivedRecord{std::move(prefix.info), std::make_shared<engine::Bytes>(payload.begin(), payload.end())};
}

Status import_one(DiskStore& store, std::span<const std::byte> bytes,
                  const std::unordered_set<RecordId, RecordIdHasher>& there, Archived& archived) {
  auto record = check_record(bytes, store.fingerprint());
  if (!record) {
    ++archived.damaged;
    return {};
  }
  if (there.contains(record->info.id)) {
    ++archived.skipped;
    return {};
  }
  TRY_OK(store.write_now(std::move(record->info), std::move(record->payload)));
  ++archived.records;
  archived.bytes += bytes.size();
  return {};
}

Status import_all(DiskStore& store, const File& file, const fs::path& path, Archived& archived) {
  const auto cut = [&] { return fail(Code::corrupt, fmt::format("{} ends early", path.string())); };
  std::unordered_set<RecordId, RecordIdHasher> there;
  for (const StoredRecord& record : store.list()) there.insert(record.info.id);
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  std::vector<std::byte> bytes;
  while (true) {
    bytes.resize(8);
    if (!read(file, bytes)) return cut();
    const std::uint64_t length = get(bytes);
    if (length == 0) return store.flush();
    // A length that lies must not become an allocation.
    if (length > kImportedBytesMax || error || length > size) return cut();
    bytes.resize(length);
    if (!read(file, bytes)) return cut();
    TRY_OK(import_one(store, bytes, there, archived));
  }
}

}  // namespace

Result<Archived> export_records(DiskStore& store, const std::vector<RecordId>& ids, const fs::path& path) {
  Archived archived;
  // A name nobody else has, and a link that never replaces: whatever else is there stays.
  fs::path temporary = path;
  temporary += fmt::format(".kvern-{}-{}{}", ::getpid(), std::random_device{}(), layout::kTemporary);
  Status written = write_archive(store, ids, temporary, archived);
  if (written && ::link(temporary.c_str(), path.c_str()) != 0) written = fail_errno("link", path);
  std::remove(temporary.c_str());
  if (!written) return tl::unexpected(std::move(written).error());
  return archived;
}

Result<Archived> import_records(DiskStore& store, const fs::path& path) {
  if (!store.owner()) return fail(Code::busy, "another process owns the cache directory");
  TRY(const File file, open_regular(path));
  TRY_OK(check_archive(file, path, store.fingerprint()));
  Archived archived;
  const Status imported = import_all(store, file, path, archived);
  if (!imported) {
    [[maybe_unused]] const Status ignored = store.flush();  // the first error is the one to tell
    return tl::unexpected(imported.error());
  }
  return archived;
}

Result<std::vector<StoredModel>> list_models(FileSystem& files, const fs::path& directory) {
  std::vector<StoredModel> models;
  TRY([[maybe_unused]] const auto top, files.list(directory));
  const fs::path versions = directory / layout::kVersion;
  const auto folders = files.list(versions);
  if (!folders) return models;
  for (const FileSystem::Entry& folder : *folders) {
    const auto fingerprint = parse_key(folder.name);
    if (!folder.directory || !fingerprint) continue;
    StoredModel model;
    model.fingerprint = *fingerprint;
    const fs::path path = versions / folder.name;
    if (const auto text = files.read(path / layout::kModel, 0, kDescriptionBytes)) {
      model.description.assign(reinterpret_cast<const char*>(text->data()), text->size());
    }
    for (const FileSystem::Entry& shard : files.list(path).value_or(std::vector<FileSystem::Entry>{})) {
      if (!shard.directory) continue;
      for (const auto& entry : files.list(path / shard.name).value_or(std::vector<FileSystem::Entry>{})) {
        if (!parse_file_name(entry.name)) continue;
        const auto facts = files.facts(path / shard.name / entry.name);
        if (!facts) continue;
        ++model.records;
        model.bytes += facts->allocated_bytes;
        model.used_s = std::max(model.used_s, facts->modified_s);
      }
    }
    if (model.records > 0) models.push_back(std::move(model));
  }
  return models;
}

}  // namespace kvern::cache
