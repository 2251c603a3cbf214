// Any bytes as a record file, also with its checksum made right: no crash, and what is accepted is
// exactly what encoding it again gives.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "cache/disk/record_format.h"

namespace {

using namespace kvern::cache;

void check(std::span<const std::byte> bytes) {
  const auto prefix = decode_prefix(bytes.first(std::min(bytes.size(), kPrefixBytesMax)));
  if (!prefix) return;
  CHECK(prefix->info.tokens.size() <= kTokensMax);
  CHECK(parse_file_name(file_name(prefix->info.id)) == prefix->info.id);
  const auto payload = bytes.subspan(prefix_bytes(prefix->info.tokens.size()));
  if (!check_payload(*prefix, payload)) return;
  const auto again = encode_prefix(prefix->info, prefix->fingerprint, payload);
  CHECK(std::equal(again.begin(), again.end(), bytes.begin()), "a record has two encodings");
}

// Lets the fuzzer past the checksum, which it would never guess.
void make_checksum_right(std::vector<std::byte>& bytes) {
  if (bytes.size() < prefix_bytes(0)) return;
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < 4; ++i) tokens |= std::to_integer<std::size_t>(bytes[116 + i]) << (8 * i);
  if (tokens > kTokensMax || bytes.size() < prefix_bytes(tokens)) return;
  const std::size_t covered = prefix_bytes(tokens) - 4;
  const std::uint32_t crc = crc32c(std::span(bytes).first(covered));
  for (std::size_t i = 0; i < 4; ++i) bytes[covered + i] = static_cast<std::byte>(crc >> (8 * i));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);
  std::vector<std::byte> mended(input.begin(), input.end());
  make_checksum_right(mended);
  check(mended);
  return 0;
}
