#include "cache/disk/record_format.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace kvern::cache {
namespace {

const Key kModel = sha256("model");

RecordInfo block_info(std::size_t tokens = 256) {
  RecordInfo info;
  info.parent = root_key(kModel, "");
  info.tokens.resize(tokens);
  std::iota(info.tokens.begin(), info.tokens.end(), 1000);
  info.id = {RecordKind::block, chain_key(info.parent, info.tokens)};
  info.begin = 0;
  info.cost_ms = 12.5F;
  return info;
}

engine::Bytes payload_of(std::size_t size) {
  engine::Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 31 + 7);
  return bytes;
}

std::vector<std::byte> whole_file(const RecordInfo& info, const engine::Bytes& payload) {
  auto file = encode_prefix(info, kModel, payload);
  file.insert(file.end(), payload.begin(), payload.end());
  return file;
}

// What a reader does with a file: every check there is.
bool accepted(std::span<const std::byte> file, const RecordInfo& expected) {
  const auto prefix = decode_prefix(file.first(std::min(file.size(), kPrefixBytesMax)));
  return prefix && prefix->info.id == expected.id && prefix->fingerprint == kModel &&
         prefix->file_bytes() == file.size() &&
         check_payload(*prefix, file.subspan(prefix_bytes(prefix->info.tokens.size()))).has_value();
}

TEST(RecordFormat, WhatWasWrittenIsRead) {
  const RecordInfo info = block_info();
  const auto payload = payload_of(500);
  const auto prefix = decode_prefix(encode_prefix(info, kModel, payload));
  ASSERT_TRUE(prefix) << prefix.error().message;
  EXPECT_EQ(prefix->info.id, info.id);
  EXPECT_EQ(prefix->info.parent, info.parent);
  EXPECT_EQ(prefix->info.tokens, info.tokens);
  EXPECT_EQ(prefix->info.begin, 0);
  EXPECT_EQ(prefix->info.cost_ms, 12.5F);
  EXPECT_EQ(prefix->fingerprint, kModel);
  EXPECT_EQ(prefix->payload_bytes, 500U);
  EXPECT_TRUE(check_payload(*prefix, payload));
}

// The check value of the polynomial, as published with it.
TEST(RecordFormat, TheChecksumIsCrc32c) {
  EXPECT_EQ(crc32c(std::as_bytes(std::span(std::string_view("123456789")))), 0xE3069283U);
}

// Files outlive the program that wrote them.
TEST(RecordFormat, TheBytesAreThoseOfTheDocument) {
  RecordInfo info = block_info(1);
  info.tokens = {0x01020304};
  info.begin = 256;
  info.id.key = chain_key(info.parent, info.tokens);
  const auto bytes = encode_prefix(info, kModel, payload_of(3));
  ASSERT_EQ(bytes.size(), 160U);
  const auto hex = [&](std::size_t from, std::size_t count) {
    return to_hex({reinterpret_cast<const std::uint8_t*>(bytes.data()) + from, count});
  };
  EXPECT_EQ(hex(0, 16),
            "4b5645524e524543"
            "01000000"
            "01000000");
  EXPECT_EQ(hex(16, 32), to_hex(info.id.key));
  EXPECT_EQ(hex(48, 32), to_hex(info.parent));
  EXPECT_EQ(hex(80, 32), to_hex(kModel));
  EXPECT_EQ(hex(112, 24),
            "00010000"
            "01000000"
            "0300000000000000"
            "00004841"
            "00000000");
  EXPECT_EQ(hex(152, 4), "04030201");
}

TEST(RecordFormat, EveryFlippedBitIsNoticed) {
  for (const std::size_t tokens : {1U, 256U}) {
    const RecordInfo info = block_info(tokens);
    auto file = whole_file(info, payload_of(300));
    ASSERT_TRUE(accepted(file, info));
    for (std::size_t at = 0; at < file.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        file[at] ^= static_cast<std::byte>(1 << bit);
        EXPECT_FALSE(accepted(file, info)) << "byte " << at << " bit " << bit;
        file[at] ^= static_cast<std::byte>(1 << bit);
      }
    }
    EXPECT_TRUE(accepted(file, info));
  }
}

TEST(RecordFormat, EveryOtherLengthIsNoticed) {
  const RecordInfo info = block_info(3);
  auto file = whole_file(info, payload_of(50));
  for (std::size_t size = 0; size < file.size(); ++size) EXPECT_FALSE(accepted(std::span(file).first(size), info));
  file.push_back(std::byte{0});
  EXPECT_FALSE(accepted(file, info));
}

// A sane checksum over wrong content: a writer with a defect, or a forger.
TEST(RecordFormat, AKeyThatIsNotOfItsTokensIsRefused) {
  RecordInfo info = block_info();
  info.tokens[7] += 1;
  EXPECT_FALSE(check_writable(info, 1));
  const auto prefix = decode_prefix(encode_prefix(info, kModel, payload_of(1)));
  ASSERT_FALSE(prefix);
  EXPECT_EQ(prefix.error().code, Code::corrupt);
}

TEST(RecordFormat, ATurnHasNoTokensAndTheOthersSome) {
  RecordInfo info = block_info();
  info.id.kind = RecordKind::turn;
  EXPECT_FALSE(check_writable(info, 1));
  info.tokens.clear();
  EXPECT_TRUE(check_writable(info, 1));
  info.id.kind = RecordKind::tail;
  info.id.key = chain_key(info.parent, info.tokens);
  EXPECT_FALSE(check_writable(info, 1));
  RecordInfo long_one = block_info(257);
  EXPECT_FALSE(check_writable(long_one, 1));
}

TEST(RecordFormat, ACostThatIsNoNumberIsWrittenAsZero) {
  for (const float cost : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1.0F}) {
    RecordInfo info = block_info();
    info.cost_ms = cost;
    const auto prefix = decode_prefix(encode_prefix(info, kModel, {}));
    ASSERT_TRUE(prefix);
    EXPECT_EQ(prefix->info.cost_ms, 0.0F);
  }
}

TEST(RecordFormat, NamesAreReadAsTheyAreWritten) {
  for (const RecordKind kind : {RecordKind::block, RecordKind::tail, RecordKind::snapshot, RecordKind::turn}) {
    const RecordId id{kind, sha256("x")};
    EXPECT_EQ(parse_file_name(file_name(id)), id);
    EXPECT_FALSE(parse_file_name(file_name(id) + "x"));
    EXPECT_FALSE(parse_file_name(file_name(id) + ".tmp"));
    EXPECT_FALSE(parse_file_name(file_name(id).substr(1)));
  }
  EXPECT_FALSE(parse_file_name(std::string(64, 'A') + ".block")) << "one spelling a key";
  EXPECT_FALSE(parse_file_name(""));
}

// Records of two builds must never mix by accident, so these are fixed.
TEST(Keys, AreChainsThatCoverModelSaltAndTokens) {
  engine::Info info;
  info.fingerprint_parts = {"ab", "c"};
  engine::Info other;
  other.fingerprint_parts = {"a", "bc"};
  EXPECT_NE(fingerprint(info), fingerprint(other));
  other.fingerprint_parts = {"ab", "c"};
  other.context = 4096;
  EXPECT_EQ(fingerprint(info), fingerprint(other)) << "the context's size changes no row";
  const Key root = root_key(kModel, "");
  EXPECT_NE(root, root_key(kModel, "key"));
  EXPECT_NE(root, root_key(sha256("other"), ""));
  const std::vector<TokenId> tokens = {1, 2};
  EXPECT_NE(chain_key(root, tokens), chain_key(root_key(kModel, "key"), tokens));
  EXPECT_NE(chain_key(root, tokens), chain_key(chain_key(root, std::span(tokens).first(1)), std::span(tokens).last(1)));
}

}  // namespace
}  // namespace kvern::cache
