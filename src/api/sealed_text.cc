#include "api/sealed_text.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"

namespace kvern::api {
namespace {

constexpr std::string_view kMark = "kvern1.";
// RFC 4648, section 5: safe in URLs and in JSON.
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr unsigned kBits = 6;
constexpr std::uint8_t kNone = 0xFF;

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return values;
}();

}  // namespace

std::string sealed_text(std::string_view text) {
  std::string out(kMark);
  out.reserve(kMark.size() + (text.size() * 4 + 2) / 3);
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : text) {
    held = (held << 8U) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= kBits; bits -= kBits) out += kAlphabet[(held >> (bits - kBits)) & 0x3FU];
  }
  if (bits > 0) out += kAlphabet[(held << (kBits - bits)) & 0x3FU];
  return out;
}

std::optional<std::string> opened_text(std::string_view sealed) {
  if (!sealed.starts_with(kMark)) return std::nullopt;
  sealed.remove_prefix(kMark.size());
  std::string out;
  out.reserve(sealed.size() * 3 / 4);
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : sealed) {
    const std::uint8_t value = kValues[static_cast<unsigned char>(c)];
    if (value == kNone) return std::nullopt;
    held = (held << kBits) | value;
    bits += kBits;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>((held >> bits) & 0xFFU);
  }
  return to_valid_utf8(out);
}

}  // namespace kvern::api
