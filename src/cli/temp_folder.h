// A folder of our own below the system's folder for such, 0700, gone with this object. Thread: main.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace kvern::cli {

// Where it is made: $TMPDIR, else /tmp.
std::string temp_root();

// An open, new file below temp_root(), 0600, that nobody removes.
struct TempFile {
  int fd = -1;
  std::string path;
};
Result<TempFile> make_temp_file(std::string_view name);

class TempFolder {
 public:
  static Result<TempFolder> make(std::string_view name);
  TempFolder(TempFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempFolder& operator=(TempFolder&&) = delete;
  ~TempFolder();

  const std::string& path() const { return path_; }
  // A new file in it, 0600.
  Status write(const std::string& name, std::string_view content) const;

 private:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace kvern::cli
