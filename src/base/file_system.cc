#include "base/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace kvern {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> fail_errno(const char* what, const fs::path& path, int number) {
  Code code = Code::failed;
  if (number == ENOENT) code = Code::not_found;
  if (number == ENOSPC || number == EDQUOT) code = Code::too_large;
  return fail(code, fmt::format("cannot {} {}: {}", what, path.string(), std::generic_category().message(number)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  // close() may be the first to report a failed write.
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int open_retrying(const fs::path& path, int flags, mode_t mode = 0) {
  while (true) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

// 0, or the errno of the write that failed.
int write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return 0;
}

int sync_data(int fd) {
#ifdef __APPLE__
  return ::fcntl(fd, F_FULLFSYNC);  // fsync() there does not empty the drive's own cache
#else
  return ::fdatasync(fd);
#endif
}

class FileLock final : public FileSystem::Lock {
 public:
  explicit FileLock(int fd) : fd_(fd) {}
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  // An empty note says that nobody is there; the file itself stays, for the next owner's flock.
  ~FileLock() override { [[maybe_unused]] const int ignored = ::ftruncate(fd_.get(), 0); }

 private:
  Descriptor fd_;
};

class PosixFileSystem final : public FileSystem {
 public:
  Status make_directory(const fs::path& path) override;
  Result<std::vector<Entry>> list(const fs::path& directory) override;
  Result<Facts> facts(const fs::path& path) override;
  Result<Space> space(const fs::path& path) override;
  Status write_new(const fs::path& path, std::span<const std::span<const std::byte>> parts) override;
  Result<std::vector<std::byte>> read(const fs::path& path, std::uint64_t offset, std::uint64_t bytes_max) override;
  Status rename(const fs::path& from, const fs::path& to) override;
  Status remove(const fs::path& path) override;
  Status set_modified(const fs::path& path, std::int64_t modified_s) override;
  Status sync_directory(const fs::path& path) override;
  Result<std::unique_ptr<Lock>> lock(const fs::path& path, const std::string& note) override;
};

Status PosixFileSystem::make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    TRY_OK(make_directory(path.parent_path()));
    if (::mkdir(path.c_str(), 0700) == 0) return {};
  }
  const int number = errno;
  struct stat status {};
  if (number == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
  return fail_errno("make directory", path, number);
}

Result<std::vector<FileSystem::Entry>> PosixFileSystem::list(const fs::path& directory) {
  std::vector<Entry> entries;
  std::error_code error;
  fs::directory_iterator at(directory, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    std::error_code ignored;  // an entry that vanished meanwhile is no directory
    entries.push_back({at->path().filename().string(), fs::is_directory(at->symlink_status(ignored))});
  }
  if (error) return fail_errno("list", directory, error.value());
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

Result<FileSystem::Facts> PosixFileSystem::facts(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return fail_errno("look at", path, errno);
  return Facts{static_cast<std::uint64_t>(status.st_size), static_cast<std::uint64_t>(status.st_blocks) * 512,
               static_cast<std::int64_t>(status.st_mtime)};
}

Result<FileSystem::Space> PosixFileSystem::space(const fs::path& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) return fail_errno("ask for the free space of", path, errno);
  const std::uint64_t unit = status.f_frsize;
  return Space{status.f_bavail * unit, status.f_blocks * unit};
}

Status PosixFileSystem::write_new(const fs::path& path, std::span<const std::span<const std::byte>> parts) {
  Descriptor file(open_retrying(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (file.get() < 0) return fail_errno("create", path, errno);
  int number = 0;
  for (const auto part : parts) {
    number = write_all(file.get(), part);
    if (number != 0) break;
  }
  if (number == 0 && sync_data(file.get()) != 0) number = errno;
  if (file.close() != 0 && number == 0) number = errno;
  if (number == 0) return {};
  ::unlink(path.c_str());
  return fail_errno("write", path, number);
}

Result<std::vector<std::byte>> PosixFileSystem::read(const fs::path& path, std::uint64_t offset,
                                                     std::uint64_t bytes_max) {
  // Non-blocking: a pipe put in a file's place must not stop us.
  const Descriptor file(open_retrying(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return fail_errno("open", path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail_errno("look at", path, errno);
  if (!S_ISREG(status.st_mode)) return fail(Code::failed, fmt::format("{} is not a plain file", path.string()));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::byte> bytes(std::min(bytes_max, size - std::min(size, offset)));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count =
        ::pread(file.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("read", path, errno);
    if (count == 0) break;  // truncated meanwhile
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

Status PosixFileSystem::rename(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno("rename", from, errno);
  return {};
}

Status PosixFileSystem::remove(const fs::path& path) {
  if (::unlink(path.c_str()) == 0) return {};
  const int number = errno;
  if ((number == EISDIR || number == EPERM) && ::rmdir(path.c_str()) == 0) return {};
  return fail_errno("remove", path, number);
}

Status PosixFileSystem::set_modified(const fs::path& path, std::int64_t modified_s) {
  const struct timespec times[2] = {{0, UTIME_OMIT}, {static_cast<time_t>(modified_s), 0}};
  if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno("set the time of", path, errno);
  }
  return {};
}

Status PosixFileSystem::sync_directory(const fs::path& path) {
  const Descriptor directory(open_retrying(path, O_RDONLY | O_DIRECTORY));
  if (directory.get() < 0) return fail_errno("open directory", path, errno);
  // EINVAL: this file system has no such thing, and nothing better to offer.
  if (::fsync(directory.get()) != 0 && errno != EINVAL) return fail_errno("sync directory", path, errno);
  return {};
}

Result<std::unique_ptr<FileSystem::Lock>> PosixFileSystem::lock(const fs::path& path, const std::string& note) {
  Descriptor file(open_retrying(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (file.get() < 0) return fail_errno("open", path, errno);
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return std::unique_ptr<Lock>();
    return fail_errno("lock", path, errno);
  }
  // The note is for people; a full disk must not cost the lock.
  if (::ftruncate(file.get(), 0) == 0) {
    [[maybe_unused]] const int ignored = write_all(file.get(), std::as_bytes(std::span(note)));
  }
  return std::make_unique<FileLock>(file.release());
}

}  // namespace

FileSystem& file_system() {
  static PosixFileSystem files;
  return files;
}

}  // namespace kvern
