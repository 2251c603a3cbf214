#include "cache/disk/fault_file_system.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvern::cache {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kUnit = 4096;

std::uint64_t units(std::size_t bytes) { return (bytes + kUnit - 1) / kUnit * kUnit; }

tl::unexpected<Error> missing(const fs::path& path) { return fail(Code::not_found, path.string() + " is not there"); }

bool is_below(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

}  // namespace

struct FaultFileSystem::Locks {
  std::mutex mutex;
  std::set<std::string> held;
};

class FaultFileSystem::HeldLock final : public Lock {
 public:
  HeldLock(std::shared_ptr<Locks> locks, std::string path) : locks_(std::move(locks)), path_(std::move(path)) {}
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() override {
    const std::lock_guard guard(locks_->mutex);
    locks_->held.erase(path_);
  }

 private:
  std::shared_ptr<Locks> locks_;
  std::string path_;
};

namespace {

Status error_of(FaultFileSystem::Fault fault, const fs::path& path) {
  using Fault = FaultFileSystem::Fault;
  if (fault == Fault::none || fault == Fault::flip_bit) return {};
  if (fault == Fault::no_space) return fail(Code::too_large, path.string() + ": no space left");
  return fail(Code::failed, path.string() + ": input/output error");
}

}  // namespace

void FaultFileSystem::set_plan(Plan plan) {
  const std::lock_guard guard(mutex_);
  plan_ = std::move(plan);
}

void FaultFileSystem::fail_nth(Operation operation, int nth, Fault fault) {
  set_plan([operation, nth, fault](Operation asked, const fs::path&) mutable {
    return asked == operation && --nth == 0 ? fault : Fault::none;
  });
}

bool FaultFileSystem::crashed() const {
  const std::lock_guard guard(mutex_);
  return crashed_;
}

FaultFileSystem::Fault FaultFileSystem::next(Operation operation, const fs::path& path) {
  if (crashed_) return Fault::io_error;
  const Fault fault = plan_ ? plan_(operation, path) : Fault::none;
  crashed_ = fault == Fault::crash;
  return fault == Fault::flip_bit && operation != Operation::read ? Fault::none : fault;
}

void FaultFileSystem::reboot(std::uint64_t seed) {
  const std::lock_guard guard(mutex_);
  random_.seed(seed);
  std::set<std::string> paths;
  for (const auto& [path, node] : now_) paths.insert(path);
  for (const auto& [path, node] : safe_) paths.insert(path);
  Tree after;
  for (const std::string& path : paths) {  // parents first
    const auto newer = now_.find(path);
    const auto older = safe_.find(path);
    const auto new_node = newer == now_.end() ? nullptr : newer->second;
    const auto old_node = older == safe_.end() ? nullptr : older->second;
    const auto node = random_() % 2 == 0 ? new_node : old_node;
    if (!node) continue;
    const std::string parent = fs::path(path).parent_path().string();
    if (parent != "/" && !after.contains(parent)) continue;
    after.emplace(path, node);
  }
  now_ = after;
  safe_ = after;
  crashed_ = false;
  plan_ = nullptr;
  locks_ = nullptr;
}

void FaultFileSystem::change(const fs::path& path, const std::function<void(std::vector<std::byte>&)>& how) {
  const std::lock_guard guard(mutex_);
  if (const auto found = now_.find(path.string()); found != now_.end()) how(found->second->bytes);
}

void FaultFileSystem::remove_tree(const fs::path& path) {
  const std::lock_guard guard(mutex_);
  const std::string top = path.string();
  for (Tree* tree : {&now_, &safe_}) {
    std::erase_if(*tree, [&](const auto& item) { return item.first == top || is_below(item.first, top); });
  }
}

void FaultFileSystem::put(const fs::path& path, std::size_t bytes) {
  const std::lock_guard guard(mutex_);
  [[maybe_unused]] const Status made = make(path.parent_path());
  const auto node = std::make_shared<Node>();
  node->bytes.resize(bytes);
  node->modified_s = now_s;
  now_[path.string()] = safe_[path.string()] = node;
}

std::vector<fs::path> FaultFileSystem::all_files() const {
  const std::lock_guard guard(mutex_);
  std::vector<fs::path> files;
  for (const auto& [path, node] : now_) {
    if (!node->directory) files.emplace_back(path);
  }
  return files;
}

std::uint64_t FaultFileSystem::allocated() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, node] : now_) {
    if (!node->directory && fs::path(path).filename() != "lock") bytes += units(node->bytes.size());
  }
  return bytes;
}

std::uint64_t FaultFileSystem::allocated_bytes() const {
  const std::lock_guard guard(mutex_);
  return allocated();
}

bool FaultFileSystem::is_directory(const std::string& path) const {
  if (path == "/") return true;
  const auto found = now_.find(path);
  return found != now_.end() && found->second->directory;
}

Status FaultFileSystem::make(const fs::path& path) {
  if (is_directory(path.string())) return {};
  if (now_.contains(path.string())) return fail(Code::failed, path.string() + " is in the way");
  TRY_OK(make(path.parent_path()));
  const auto node = std::make_shared<Node>();
  node->directory = true;
  now_[path.string()] = node;
  return {};
}

Status FaultFileSystem::make_directory(const fs::path& path) {
  const std::lock_guard guard(mutex_);
  const Fault fault = next(Operation::make_directory, path);
  if (fault == Fault::none || fault == Fault::late_error) TRY_OK(make(path));
  return error_of(fault, path);
}

Result<std::vector<FileSystem::Entry>> FaultFileSystem::list(const fs::path& directory) {
  const std::lock_guard guard(mutex_);
  TRY_OK(error_of(next(Operation::list, directory), directory));
  const std::string top = directory.string();
  if (!is_directory(top)) return missing(directory);
  std::vector<Entry> entries;
  for (auto at = now_.lower_bound(top + '/'); at != now_.end() && is_below(at->first, top); ++at) {
    const std::string name = at->first.substr(top.size() + 1);
    if (name.find('/') == std::string::npos) entries.push_back({name, at->second->directory});
  }
  return entries;
}

Result<FileSystem::Facts> FaultFileSystem::facts(const fs::path& path) {
  const std::lock_guard guard(mutex_);
  TRY_OK(error_of(next(Operation::facts, path), path));
  const auto found = now_.find(path.string());
  if (found == now_.end()) return missing(path);
  return Facts{found->second->bytes.size(), units(found->second->bytes.size()), found->second->modified_s};
}

Result<FileSystem::Space> FaultFileSystem::space(const fs::path& path) {
  const std::lock_guard guard(mutex_);
  TRY_OK(error_of(next(Operation::space, path), path));
  const std::uint64_t used = allocated();
  return Space{capacity_bytes - std::min(capacity_bytes, used), capacity_bytes};
}

Status FaultFileSystem::write_new(const fs::path& path, std::span<const std::span<const std::byte>> parts) {
  const std::lock_guard guard(mutex_);
  // Not asked of the plan: a write that finds no folder is a question, not an attempt.
  if (!crashed_ && !is_directory(path.parent_path().string())) return missing(path);
  Fault fault = next(Operation::write, path);
  if (now_.contains(path.string())) return fail(Code::failed, path.string() + " is there already");
  const auto node = std::make_shared<Node>();
  node->modified_s = now_s;
  for (const auto part : parts) node->bytes.insert(node->bytes.end(), part.begin(), part.end());
  if (fault == Fault::none && allocated() + units(node->bytes.size()) > capacity_bytes) fault = Fault::no_space;
  if (fault == Fault::none) {
    now_[path.string()] = node;
  } else if (fault == Fault::short_write || fault == Fault::crash) {
    node->bytes.resize(random_() % (node->bytes.size() + 1));
    if (fault == Fault::crash && !node->bytes.empty()) node->bytes.back() = std::byte{0};  // a page never written
    now_[path.string()] = node;
  }
  return error_of(fault, path);
}

Result<std::vector<std::byte>> FaultFileSystem::read(const fs::path& path, std::uint64_t offset,
                                                     std::uint64_t bytes_max) {
  const std::lock_guard guard(mutex_);
  const Fault fault = next(Operation::read, path);
  TRY_OK(error_of(fault, path));
  const auto found = now_.find(path.string());
  if (found == now_.end()) return missing(path);
  const std::vector<std::byte>& bytes = found->second->bytes;
  const std::uint64_t from = std::min<std::uint64_t>(offset, bytes.size());
  const std::uint64_t to = from + std::min<std::uint64_t>(bytes_max, bytes.size() - from);
  std::vector<std::byte> result(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                                bytes.begin() + static_cast<std::ptrdiff_t>(to));
  if (fault == Fault::flip_bit && !result.empty()) {
    result[random_() % result.size()] ^= static_cast<std::byte>(1U << (random_() % 8));
  }
  return result;
}

Status FaultFileSystem::rename(const fs::path& from, const fs::path& to) {
  const std::lock_guard guard(mutex_);
  const Fault fault = next(Operation::rename, from);
  const bool happens =
      fault == Fault::none || fault == Fault::late_error || (fault == Fault::crash && random_() % 2 == 0);
  if (happens) {
    const auto found = now_.find(from.string());
    if (found == now_.end() || !is_directory(to.parent_path().string())) return missing(from);
    now_[to.string()] = found->second;
    now_.erase(from.string());
  }
  return error_of(fault, from);
}

Status FaultFileSystem::remove(const fs::path& path) {
  const std::lock_guard guard(mutex_);
  const Fault fault = next(Operation::remove, path);
  if (fault == Fault::none || fault == Fault::late_error) {
    const auto found = now_.find(path.string());
    if (found == now_.end()) return missing(path);
    const auto after = now_.lower_bound(path.string() + '/');
    if (found->second->directory && after != now_.end() && is_below(after->first, path.string())) {
      return fail(Code::failed, path.string() + " is not empty");
    }
    now_.erase(found);
  }
  return error_of(fault, path);
}

Status FaultFileSystem::set_modified(const fs::path& path, std::int64_t modified_s) {
  const std::lock_guard guard(mutex_);
  TRY_OK(error_of(next(Operation::set_modified, path), path));
  const auto found = now_.find(path.string());
  if (found == now_.end()) return missing(path);
  found->second->modified_s = modified_s;
  return {};
}

Status FaultFileSystem::sync_directory(const fs::path& path) {
  const std::lock_guard guard(mutex_);
  const Fault fault = next(Operation::sync, path);
  const std::string top = path.string();
  if (fault == Fault::none || fault == Fault::late_error) {
    if (!is_directory(top)) return missing(path);
    const auto direct = [&](const std::string& name) { return fs::path(name).parent_path() == path; };
    std::erase_if(safe_, [&](const auto& item) { return direct(item.first) && !now_.contains(item.first); });
    for (const auto& [name, node] : now_) {
      if (direct(name)) safe_[name] = node;
    }
  }
  return error_of(fault, path);
}

Result<std::unique_ptr<FileSystem::Lock>> FaultFileSystem::lock(const fs::path& path, const std::string& note) {
  const std::lock_guard guard(mutex_);
  TRY_OK(error_of(next(Operation::lock, path), path));
  if (!is_directory(path.parent_path().string())) return missing(path);
  if (!locks_) locks_ = std::make_shared<Locks>();
  const std::lock_guard held(locks_->mutex);
  if (!locks_->held.insert(path.string()).second) return std::unique_ptr<Lock>();
  const auto node = std::make_shared<Node>();
  const auto bytes = std::as_bytes(std::span(note));
  node->bytes.assign(bytes.begin(), bytes.end());
  now_[path.string()] = node;
  return std::make_unique<HeldLock>(locks_, path.string());
}

}  // namespace kvern::cache
