#include "cache/disk/record_format.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace kvern::cache {
namespace {

constexpr std::string_view kMagic = "KVERNREC";

// Offsets into the header; docs/disk-format.md has the same table.
namespace at {
constexpr std::size_t kMagic = 0;
constexpr std::size_t kVersion = 8;
constexpr std::size_t kKind = 12;  // u32
constexpr std::size_t kKey = 16;
constexpr std::size_t kParent = 48;
constexpr std::size_t kFingerprint = 80;
constexpr std::size_t kBegin = 112;
constexpr std::size_t kTokenCount = 116;
constexpr std::size_t kPayloadBytes = 120;
constexpr std::size_t kCost = 128;
constexpr std::size_t kReserved = 132;
constexpr std::size_t kHashLow = 136;
constexpr std::size_t kHashHigh = 144;
}  // namespace at
static_assert(at::kHashHigh + 8 == kHeaderBytes);

void put_u32(std::byte* to, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}

void put_u64(std::byte* to, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}

void put_key(std::byte* to, const Key& key) { std::memcpy(to, key.data(), key.size()); }

std::uint32_t get_u32(std::span<const std::byte> bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(bytes[offset + i]) << (8 * i);
  return value;
}

std::uint64_t get_u64(std::span<const std::byte> bytes, std::size_t offset) {
  return get_u32(bytes, offset) | static_cast<std::uint64_t>(get_u32(bytes, offset + 4)) << 32;
}

Key get_key(std::span<const std::byte> bytes, std::size_t offset) {
  Key key{};
  std::memcpy(key.data(), bytes.data() + offset, key.size());
  return key;
}

std::string_view text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

tl::unexpected<Error> corrupt(std::string message) { return fail(Code::corrupt, std::move(message)); }

bool is_kind(std::uint32_t value) {
  return value >= static_cast<std::uint32_t>(RecordKind::block) &&
         value <= static_cast<std::uint32_t>(RecordKind::turn);
}

Status check_tokens(RecordKind kind, std::size_t count) {
  const bool right = kind == RecordKind::turn ? count == 0 : count >= 1 && count <= kTokensMax;
  if (!right) return corrupt(fmt::format("a {} of {} tokens", to_string(kind), count));
  return {};
}

// Castagnoli's polynomial, reflected: the checksum of iSCSI and ext4.
constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78U : 0U);
    table[i] = value;
  }
  return table;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes) {
  static constexpr auto kTable = make_crc_table();
  std::uint32_t crc = ~0U;
  for (const std::byte byte : bytes) crc = kTable[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

Status check_writable(const RecordInfo& info, std::uint64_t payload_bytes) {
  if (!check_tokens(info.id.kind, info.tokens.size())) {
    return fail(Code::invalid, fmt::format("a {} of {} tokens", to_string(info.id.kind), info.tokens.size()));
  }
  if (info.begin < 0) return fail(Code::invalid, fmt::format("a record that begins at {}", info.begin));
  if (info.id.kind != RecordKind::turn && chain_key(info.parent, info.tokens) != info.id.key) {
    return fail(Code::invalid, "the key of a record is not that of its tokens");
  }
  if (payload_bytes > kPayloadBytesMax) {
    return fail(Code::invalid, fmt::format("a record of {} bytes, over {}", payload_bytes, kPayloadBytesMax));
  }
  return {};
}

std::vector<std::byte> encode_prefix(const RecordInfo& info, const Key& fingerprint,
                                     std::span<const std::byte> payload) {
  CHECK(info.tokens.size() <= kTokensMax);
  std::vector<std::byte> bytes(prefix_bytes(info.tokens.size()));
  std::byte* const to = bytes.data();
  std::memcpy(to + at::kMagic, kMagic.data(), kMagic.size());
  put_u32(to + at::kVersion, kFormatVersion);
  put_u32(to + at::kKind, static_cast<std::uint32_t>(info.id.kind));
  put_key(to + at::kKey, info.id.key);
  put_key(to + at::kParent, info.parent);
  put_key(to + at::kFingerprint, fingerprint);
  put_u32(to + at::kBegin, static_cast<std::uint32_t>(info.begin));
  put_u32(to + at::kTokenCount, static_cast<std::uint32_t>(info.tokens.size()));
  put_u64(to + at::kPayloadBytes, payload.size());
  const float cost_ms = std::isfinite(info.cost_ms) && info.cost_ms > 0 ? info.cost_ms : 0.0F;
  put_u32(to + at::kCost, std::bit_cast<std::uint32_t>(cost_ms));
  const Hash128 hash = xxh3_128(text(payload));
  put_u64(to + at::kHashLow, hash.low);
  put_u64(to + at::kHashHigh, hash.high);
  for (std::size_t i = 0; i < info.tokens.size(); ++i) {
    put_u32(to + kHeaderBytes + i * 4, static_cast<std::uint32_t>(info.tokens[i]));
  }
  const std::size_t covered = bytes.size() - 4;
  put_u32(to + covered, crc32c(std::span(bytes).first(covered)));
  return bytes;
}

Result<RecordPrefix> decode_prefix(std::span<const std::byte> bytes) {
  if (bytes.size() < prefix_bytes(0)) return corrupt(fmt::format("only {} bytes long", bytes.size()));
  if (text(bytes.first(kMagic.size())) != kMagic) return corrupt("it does not begin as a record");
  const std::uint32_t version = get_u32(bytes, at::kVersion);
  if (version != kFormatVersion) return corrupt(fmt::format("version {}, not {}", version, kFormatVersion));
  const std::size_t count = get_u32(bytes, at::kTokenCount);
  if (count > kTokensMax) return corrupt(fmt::format("{} tokens, over {}", count, kTokensMax));
  if (bytes.size() < prefix_bytes(count)) return corrupt("it ends within its tokens");
  const std::size_t covered = prefix_bytes(count) - 4;
  if (crc32c(bytes.first(covered)) != get_u32(bytes, covered)) return corrupt("the header's checksum is wrong");

  RecordPrefix prefix;
  const std::uint32_t kind = get_u32(bytes, at::kKind);
  if (!is_kind(kind)) return corrupt(fmt::format("kind {} is unknown", kind));
  prefix.info.id = {static_cast<RecordKind>(kind), get_key(bytes, at::kKey)};
  prefix.info.parent = get_key(bytes, at::kParent);
  prefix.fingerprint = get_key(bytes, at::kFingerprint);
  prefix.info.begin = static_cast<std::int32_t>(get_u32(bytes, at::kBegin));
  prefix.info.cost_ms = std::bit_cast<float>(get_u32(bytes, at::kCost));
  prefix.payload_bytes = get_u64(bytes, at::kPayloadBytes);
  prefix.payload_hash = {get_u64(bytes, at::kHashLow), get_u64(bytes, at::kHashHigh)};
  prefix.info.tokens.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    prefix.info.tokens.push_back(static_cast<TokenId>(get_u32(bytes, kHeaderBytes + i * 4)));
  }
  // A checksum proves that the bytes are as written, not that the writer was sane.
  if (get_u32(bytes, at::kReserved) != 0) return corrupt("reserved bytes are in use");
  if (!std::isfinite(prefix.info.cost_ms) || prefix.info.cost_ms < 0) return corrupt("its cost is no cost");
  if (const Status sane = check_writable(prefix.info, prefix.payload_bytes); !sane) {
    return corrupt(sane.error().message);
  }
  return prefix;
}

Status check_payload(const RecordPrefix& prefix, std::span<const std::byte> payload) {
  if (payload.size() != prefix.payload_bytes) {
    return corrupt(fmt::format("{} bytes of payload, not {}", payload.size(), prefix.payload_bytes));
  }
  if (xxh3_128(text(payload)) != prefix.payload_hash) return corrupt("the payload's checksum is wrong");
  return {};
}

std::string file_name(const RecordId& id) { return to_hex(id.key) + '.' + to_string(id.kind); }

std::optional<Key> parse_key(std::string_view hex) {
  Key key{};
  if (hex.size() != key.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const char c = hex[i];
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return std::nullopt;
    const int value = digit ? c - '0' : c - 'a' + 10;
    key[i / 2] = static_cast<std::uint8_t>(key[i / 2] << 4 | value);
  }
  return key;
}

std::optional<RecordId> parse_file_name(std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto key = parse_key(name.substr(0, dot));
  if (!key) return std::nullopt;
  for (const RecordKind kind : {RecordKind::block, RecordKind::tail, RecordKind::snapshot, RecordKind::turn}) {
    if (name.substr(dot + 1) == to_string(kind)) return RecordId{kind, *key};
  }
  return std::nullopt;
}

}  // namespace kvern::cache
