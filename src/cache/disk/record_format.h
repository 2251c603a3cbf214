// The bytes of a record file: written, read and checked. docs/disk-format.md has them for people.
//
//   header (152 bytes) | token ids (4 each) | CRC32C of both (4) | payload
//
// Little-endian. Every bit of a file is covered by one of two checksums, and a record is taken only
// when its name, its key, its fingerprint and its length agree with what it says.
// Thread: any; pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "cache/record.h"

namespace kvern::cache {

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kHeaderBytes = 152;
inline constexpr std::size_t kTokensMax = 256;  // of one record
inline constexpr std::uint64_t kPayloadBytesMax = std::uint64_t{4} << 30;
// Reading so much of a file is enough for decode_prefix().
inline constexpr std::size_t kPrefixBytesMax = kHeaderBytes + kTokensMax * 4 + 4;

// Bytes before the payload.
constexpr std::size_t prefix_bytes(std::size_t tokens) { return kHeaderBytes + tokens * 4 + 4; }

// What stands before the payload.
struct RecordPrefix {
  RecordInfo info;
  Key fingerprint{};
  std::uint64_t payload_bytes = 0;
  Hash128 payload_hash;

  std::uint64_t file_bytes() const { return prefix_bytes(info.tokens.size()) + payload_bytes; }
};

// Code::invalid unless the record may be written: its key is the chain's, its tokens are of the number
// its kind has (a turn has none, the others 1..kTokensMax), its payload is within bounds.
Status check_writable(const RecordInfo& info, std::uint64_t payload_bytes);

// info must be writable. A cost that is no number from 0 up is written as 0.
std::vector<std::byte> encode_prefix(const RecordInfo& info, const Key& fingerprint,
                                     std::span<const std::byte> payload);

// bytes: the beginning of a file, at least kPrefixBytesMax of them or the whole file. Code::corrupt
// says what is wrong with it. Checks all but name, length and payload.
Result<RecordPrefix> decode_prefix(std::span<const std::byte> bytes);

// The payload is the one the prefix was written with.
Status check_payload(const RecordPrefix& prefix, std::span<const std::byte> payload);

// "KEY.kind", KEY in 64 lower-case hex digits; nothing when a name is not exactly so.
std::string file_name(const RecordId& id);
std::optional<RecordId> parse_file_name(std::string_view name);
std::optional<Key> parse_key(std::string_view hex);

std::uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace kvern::cache
