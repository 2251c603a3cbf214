#include "cli/gguf_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <vector>

#include "cli/words.h"

namespace kvern::cli {
namespace {

constexpr std::uint64_t kEntriesMax = 1'000'000;  // of a header; real files stay below ten thousand
constexpr std::uint32_t kString = 8;
constexpr std::uint32_t kArray = 9;

// Reads forward through a file whose every length may be a lie. Once something did not fit, ok()
// stays false and values are zero.
class Reader {
 public:
  // The file stands at byte `at`.
  Reader(std::ifstream& file, std::uint64_t at, std::uint64_t size) : file_(file), size_(size), at_(at) {}

  template <typename Number>
  Number number() {
    Number value{};
    if (!ok_ || size_ - at_ < sizeof value || !file_.read(reinterpret_cast<char*>(&value), sizeof value)) {
      ok_ = false;
      return Number{};
    }
    at_ += sizeof value;
    return value;
  }

  void skip(std::uint64_t bytes) {
    if (!ok_ || size_ - at_ < bytes) {
      ok_ = false;
      return;
    }
    at_ += bytes;
    // ignore() reads through the buffer: cheaper than a seek for the short strings headers are made of.
    if (bytes < 65'536) {
      file_.ignore(static_cast<std::streamsize>(bytes));
    } else {
      file_.seekg(static_cast<std::streamoff>(bytes), std::ios::cur);
    }
    ok_ = static_cast<bool>(file_);
  }

  std::string text(std::uint64_t bytes_max) {
    const auto bytes = number<std::uint64_t>();
    if (bytes > bytes_max) {
      skip(bytes);
      return {};
    }
    std::string value(bytes, '\0');
    if (!ok_ || size_ - at_ < bytes || !file_.read(value.data(), static_cast<std::streamsize>(bytes))) {
      ok_ = false;
      return {};
    }
    at_ += bytes;
    return value;
  }

  bool ok() const { return ok_; }
  std::uint64_t position() const { return at_; }
  void give_up() { ok_ = false; }

 private:
  std::ifstream& file_;
  std::uint64_t size_;
  std::uint64_t at_;
  bool ok_ = true;
};

// Bytes of a metadata value of fixed size; 0 for strings, arrays and unknown types.
std::uint64_t fixed_size(std::uint32_t type) {
  static constexpr std::array<std::uint8_t, 13> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < kSizes.size() ? kSizes[type] : 0;
}

void skip_value(Reader& reader, std::uint32_t type) {
  if (const std::uint64_t bytes = fixed_size(type); bytes > 0) return reader.skip(bytes);
  if (type == kString) return reader.skip(reader.number<std::uint64_t>());
  if (type != kArray) return reader.give_up();
  const auto item_type = reader.number<std::uint32_t>();
  const auto items = reader.number<std::uint64_t>();
  if (const std::uint64_t bytes = fixed_size(item_type); bytes > 0) {
    return items > (UINT64_MAX / bytes) ? reader.give_up() : reader.skip(items * bytes);
  }
  if (item_type != kString) return reader.give_up();
  for (std::uint64_t i = 0; i < items && reader.ok(); ++i) reader.skip(reader.number<std::uint64_t>());
}

// Where the last tensor begins, counted from the file's start; 0 when the header makes no sense.
std::uint64_t last_tensor_begin(Reader& reader, std::uint64_t tensors, std::uint64_t entries) {
  std::uint64_t alignment = 32;
  for (std::uint64_t i = 0; i < entries && reader.ok(); ++i) {
    const std::string key = reader.text(256);
    const auto type = reader.number<std::uint32_t>();
    if (key == "general.alignment" && type == 4) {
      alignment = reader.number<std::uint32_t>();
    } else {
      skip_value(reader, type);
    }
  }
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i < tensors && reader.ok(); ++i) {
    reader.skip(reader.number<std::uint64_t>());  // name
    const auto dimensions = reader.number<std::uint32_t>();
    if (dimensions > 8) reader.give_up();
    reader.skip(std::uint64_t{8} * dimensions);
    reader.number<std::uint32_t>();  // type
    last = std::max(last, reader.number<std::uint64_t>());
  }
  if (!reader.ok() || alignment == 0) return 0;
  const std::uint64_t data = (reader.position() + alignment - 1) / alignment * alignment;
  return data + last;
}

}  // namespace

Result<GgufFile> inspect_gguf(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return fail(Code::not_found, fmt::format("there is no file {}", name));
  if (!std::filesystem::is_regular_file(status)) return fail(Code::invalid, fmt::format("{} is not a file", name));
  GgufFile result;
  result.bytes = std::filesystem::file_size(path, error);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    const int reason = errno;
    return fail(Code::not_found, fmt::format("{} cannot be opened: {}", name, std::strerror(reason)));
  }
  std::array<char, 4> magic{};
  file.read(magic.data(), magic.size());
  if (result.bytes == 0) return fail(Code::corrupt, fmt::format("{} is empty", name));
  if (!file || std::memcmp(magic.data(), "GGUF", 4) != 0) {
    return fail(Code::invalid, fmt::format("{} is not a GGUF file: it does not begin with the letters GGUF", name));
  }
  const auto cut_short = [&] {
    return fail(Code::corrupt, fmt::format("{} is cut short: its {} end before its last tensor begins; copy or "
                                           "download it again",
                                           name, human_bytes(result.bytes)));
  };
  Reader reader(file, magic.size(), result.bytes);
  result.version = reader.number<std::uint32_t>();
  if (reader.ok() && (result.version < 2 || result.version > 3)) {
    return fail(Code::invalid,
                fmt::format("{} has GGUF version {}; versions 2 and 3 can be read", name, result.version));
  }
  result.tensors = reader.number<std::uint64_t>();
  const auto entries = reader.number<std::uint64_t>();
  if (!reader.ok()) return cut_short();
  if (result.tensors > kEntriesMax || entries > kEntriesMax) {
    return fail(Code::corrupt, fmt::format("{} has a damaged header", name));
  }
  const std::uint64_t last = last_tensor_begin(reader, result.tensors, entries);
  if (last == 0 || (result.tensors > 0 && last >= result.bytes)) return cut_short();
  return result;
}

}  // namespace kvern::cli
