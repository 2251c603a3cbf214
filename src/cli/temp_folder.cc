#include "cli/temp_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <system_error>

#include "base/file_system.h"

namespace kvern::cli {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> cannot_make(const std::string& path) {
  return fail(Code::failed, fmt::format("{} cannot be made: {}", path, std::strerror(errno)));
}

}  // namespace

std::string temp_root() {
  std::error_code error;
  const fs::path path = fs::temp_directory_path(error);
  return error ? "/tmp" : path.string();
}

Result<TempFile> make_temp_file(std::string_view name) {
  TempFile file;
  file.path = fmt::format("{}/{}-XXXXXX", temp_root(), name);
  file.fd = ::mkstemp(file.path.data());
  if (file.fd < 0) return cannot_make(file.path);
  return file;
}

Result<TempFolder> TempFolder::make(std::string_view name) {
  std::string path = fmt::format("{}/{}-XXXXXX", temp_root(), name);
  if (!::mkdtemp(path.data())) return cannot_make(path);
  return TempFolder(std::move(path));
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

Status TempFolder::write(const std::string& name, std::string_view content) const {
  const std::array parts = {std::as_bytes(std::span(content))};
  return file_system().write_new(fs::path(path_) / name, parts);
}

}  // namespace kvern::cli
