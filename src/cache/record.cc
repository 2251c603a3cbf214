#include "cache/record.h"

#include <cstring>

namespace kvern::cache {
namespace {

// Each hash begins with what it is of, so that no two kinds of key can be equal by accident. The
// number counts changes of what records hold: raise it and every older record is a stranger.
constexpr std::string_view kFingerprintDomain = "kvern fingerprint 1";
constexpr std::string_view kRootDomain = "kvern root 1";
constexpr std::string_view kNodeDomain = "kvern node 1";

void update_u32(Sha256Stream& stream, std::uint32_t value) {
  const char bytes[4] = {static_cast<char>(value), static_cast<char>(value >> 8), static_cast<char>(value >> 16),
                         static_cast<char>(value >> 24)};
  stream.update({bytes, sizeof bytes});
}

void update_key(Sha256Stream& stream, const Key& key) {
  stream.update({reinterpret_cast<const char*>(key.data()), key.size()});
}

}  // namespace

std::size_t KeyHasher::operator()(const Key& key) const {
  std::size_t hash = 0;
  std::memcpy(&hash, key.data(), sizeof hash);  // a SHA-256 is mixed enough
  return hash;
}

std::size_t RecordIdHasher::operator()(const RecordId& id) const {
  return KeyHasher{}(id.key) ^ (static_cast<std::size_t>(id.kind) * 0x9E3779B97F4A7C15ULL);
}

Key fingerprint(const engine::Info& info) {
  Sha256Stream stream;
  stream.update(kFingerprintDomain);
  for (const std::string& part : info.fingerprint_parts) {
    update_u32(stream, static_cast<std::uint32_t>(part.size()));  // so that "ab","c" is not "a","bc"
    stream.update(part);
  }
  return stream.finish();
}

Key root_key(const Key& fingerprint, std::string_view salt) {
  Sha256Stream stream;
  stream.update(kRootDomain);
  update_key(stream, fingerprint);
  stream.update(salt);
  return stream.finish();
}

Key chain_key(const Key& parent, std::span<const TokenId> tokens) {
  std::string bytes;
  bytes.reserve(tokens.size() * 4);
  for (const TokenId token : tokens) {
    const auto value = static_cast<std::uint32_t>(token);
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift);
  }
  Sha256Stream stream;
  stream.update(kNodeDomain);
  update_key(stream, parent);
  stream.update(bytes);
  return stream.finish();
}

}  // namespace kvern::cache
