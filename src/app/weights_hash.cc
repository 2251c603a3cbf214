#include "app/weights_hash.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <system_error>
#include <vector>

#include "base/file_system.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"

namespace kvern::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = 4 << 20;
constexpr std::size_t kEntriesMax = 256;
constexpr std::uint64_t kFileBytesMax = 1 << 20;
constexpr std::uint32_t kShardsMax = 1000;
constexpr std::int64_t kSettledNs = 2'000'000'000;

// What stays the same as long as the file's bytes do.
struct Identity {
  std::string path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  bool operator==(const Identity&) const = default;
};

struct Entry {
  Identity identity;
  std::string sha256;
};

class File {
 public:
  explicit File(const fs::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

tl::unexpected<Error> fail_errno(const char* what, const fs::path& path) {
  return fail(errno == ENOENT ? Code::not_found : Code::failed,
              fmt::format("cannot {} {}: {}", what, path.string(), std::generic_category().message(errno)), "--model");
}

Result<Identity> identify(const fs::path& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return fail_errno("read", path);
  if (!S_ISREG(facts.st_mode)) return fail(Code::failed, fmt::format("{} is no file", path.string()), "--model");
#ifdef __APPLE__
  const timespec& modified = facts.st_mtimespec;
#else
  const timespec& modified = facts.st_mtim;
#endif
  return Identity{path.string(), static_cast<std::uint64_t>(facts.st_dev), static_cast<std::uint64_t>(facts.st_ino),
                  static_cast<std::uint64_t>(facts.st_size),
                  std::int64_t{modified.tv_sec} * 1'000'000'000 + modified.tv_nsec};
}

// Of "x-00002-of-00003.gguf" all three names, else only the path itself.
std::vector<fs::path> shards(const fs::path& model) {
  constexpr std::string_view kForm = "-00000-of-00000.gguf";
  const std::string name = model.filename().string();
  const std::size_t base = name.size() < kForm.size() ? 0 : name.size() - kForm.size();
  bool is_shard = name.size() > kForm.size();
  for (std::size_t i = 0; is_shard && i < kForm.size(); ++i) {
    const char c = name[base + i];
    is_shard = kForm[i] == '0' ? c >= '0' && c <= '9' : c == kForm[i];
  }
  const auto count = is_shard ? static_cast<std::uint32_t>(std::atoi(name.substr(base + 10, 5).c_str())) : 0;
  if (count == 0 || count > kShardsMax) return {model};
  std::vector<fs::path> out;
  for (std::uint32_t i = 1; i <= count; ++i)
    out.push_back(model.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", name.substr(0, base), i, count));
  return out;
}

std::optional<Entry> read_entry(const Json& value) {
  if (!value.is_object()) return std::nullopt;
  const auto text = [&value](const char* key) {
    const auto found = value.find(key);
    return found != value.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto number = [&value](const char* key) {
    const auto found = value.find(key);
    return found != value.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  };
  Entry entry{{text("path"), static_cast<std::uint64_t>(number("device")), static_cast<std::uint64_t>(number("inode")),
               static_cast<std::uint64_t>(number("size")), number("modified_ns")},
              text("sha256")};
  const bool is_hash = entry.sha256.size() == 2 * sizeof(Sha256) &&
                       entry.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_hash && !entry.identity.path.empty() ? std::optional(std::move(entry)) : std::nullopt;
}

std::vector<Entry> read_entries(const fs::path& file) {
  std::vector<Entry> out;
  const auto bytes = file_system().read(file, 0, kFileBytesMax);
  if (!bytes) return out;
  const auto parsed = parse_json({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!parsed || !parsed->is_object() || !parsed->contains("files")) return out;
  for (const Json& value : (*parsed)["files"]) {
    if (auto entry = read_entry(value)) out.push_back(std::move(*entry));
  }
  return out;
}

// The newest are last; a lost entry only costs time, so failures are no errors.
void write_entries(const fs::path& file, const std::vector<Entry>& entries) {
  Json list = Json::array();
  const std::size_t skip = entries.size() - std::min(entries.size(), kEntriesMax);
  for (std::size_t i = skip; i < entries.size(); ++i) {
    const auto& [identity, sha256] = entries[i];
    list.push_back({{"path", identity.path},
                    {"device", identity.device},
                    {"inode", identity.inode},
                    {"size", identity.size},
                    {"modified_ns", identity.modified_ns},
                    {"sha256", sha256}});
  }
  const std::string text = dump_json(Json{{"files", std::move(list)}}) + "\n";
  std::error_code ignored;
  fs::create_directories(file.parent_path().parent_path(), ignored);
  const fs::path fresh = file.string() + fmt::format(".{}.tmp", ::getpid());
  fs::remove(fresh, ignored);  // of a process that died
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(text))};
  Status status = file_system().make_directory(file.parent_path());
  if (status) status = file_system().write_new(fresh, parts);
  if (status) status = file_system().rename(fresh, file);
  if (!status) log::debug("weights hash not remembered", {{"why", status.error().message}});
}

Result<std::string> compute(const Identity& identity, const std::function<void(std::uint64_t)>& advance) {
  const File file(identity.path);
  if (file.fd() < 0) return fail_errno("open", identity.path);
  Sha256Stream stream;
  std::string buffer(kReadBytes, '\0');
  std::uint64_t done = 0;
  while (true) {
    const ssize_t count = ::read(file.fd(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("read", identity.path);
    if (count == 0) break;
    stream.update(std::string_view(buffer).substr(0, static_cast<std::size_t>(count)));
    done += static_cast<std::uint64_t>(count);
    advance(static_cast<std::uint64_t>(count));
  }
  TRY(const Identity now, identify(identity.path));
  if (done != identity.size || now != identity)
    return fail(Code::failed, fmt::format("{} changed while it was read", identity.path), "--model");
  return to_hex(stream.finish());
}

// A file that was written a moment ago could be written again within the same tick of its clock.
bool is_settled(const Identity& identity) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return identity.modified_ns + kSettledNs < std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace

Result<std::string> weights_hash(const fs::path& model, const fs::path& cache_dir,
                                 const std::function<void(float)>& progress) {
  std::vector<Identity> files;
  std::uint64_t total = 0;
  for (const fs::path& shard : shards(fs::absolute(model))) {
    TRY(files.emplace_back(), identify(shard));
    total += files.back().size;
  }
  const fs::path memory = cache_dir / "weights.json";
  std::vector<Entry> entries = read_entries(memory);
  bool changed = false;
  std::uint64_t done = 0;
  const auto advance = [&](std::uint64_t bytes) {
    done += bytes;
    if (progress && total > 0) progress(std::min(1.0F, static_cast<float>(done) / static_cast<float>(total)));
  };

  std::vector<std::string> hashes;
  for (const Identity& identity : files) {
    const auto known =
        std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.identity == identity; });
    if (known != entries.end()) {
      hashes.push_back(known->sha256);
      advance(identity.size);
      continue;
    }
    const bool settled = is_settled(identity);
    TRY(hashes.emplace_back(), compute(identity, advance));
    std::erase_if(entries, [&](const Entry& e) { return e.identity.path == identity.path; });
    if (settled) entries.push_back({identity, hashes.back()});
    changed = true;
  }
  if (changed) write_entries(memory, entries);
  if (hashes.size() == 1) return hashes.front();
  std::string joined;
  for (const std::string& hash : hashes) joined += hash;
  return to_hex(sha256(joined));
}

}  // namespace kvern::app
