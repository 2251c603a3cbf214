#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/bounded_queue.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/limits.h"
#include "base/sized_text.h"
#include "base/utf8.h"

namespace kvern {
namespace {

TEST(Utf8, KnowsShortestFormsOnly) {
  EXPECT_EQ(utf8_sequence_length("a"), 1U);
  EXPECT_EQ(utf8_sequence_length("\xC3\xA9"), 2U);
  EXPECT_EQ(utf8_sequence_length("\xF0\x9F\x98\x80"), 4U);
  EXPECT_EQ(utf8_sequence_length("\xC0\x80"), 0U) << "overlong NUL";
  EXPECT_EQ(utf8_sequence_length("\xED\xA0\x80"), 0U) << "surrogate";
  EXPECT_EQ(utf8_sequence_length("\xF4\x90\x80\x80"), 0U) << "above U+10FFFF";
}

// A token may end inside a character; what could still become one is held back, garbage is not.
TEST(Utf8, OnlyAPossibleBeginningIsIncomplete) {
  EXPECT_EQ(utf8_incomplete_suffix("ab\xF0\x9F\x98"), 3U);
  EXPECT_EQ(utf8_incomplete_suffix("ab\xC3"), 1U);
  EXPECT_EQ(utf8_incomplete_suffix("ab"), 0U);
  EXPECT_EQ(utf8_incomplete_suffix("ab\xC3\xA9"), 0U);
  EXPECT_EQ(utf8_incomplete_suffix("\xE0\x80"), 0U) << "E0 80 begins no character";
  EXPECT_EQ(utf8_incomplete_suffix("\x80\x80"), 0U);
}

TEST(Utf8, QuotedInputIsCutBetweenCharacters) {
  EXPECT_EQ(shortened("short"), "short");
  EXPECT_EQ(shortened("ab\xC3\xA9"
                      "cd",
                      3),
            "ab ...");
}

TEST(Utf8, InvalidBytesBecomeReplacementCharacters) {
  EXPECT_EQ(to_valid_utf8("a\xFF"
                          "b"),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(JsonText, EscapesLikeTheDocumentWriterForAnyBytes) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  for (const std::string& text : {std::string("plain"), std::string("q\"b\\s/\n\t\r\b\f\x01\x7F"), every_byte}) {
    std::string ours;
    append_json_string(ours, text);
    const auto parsed = parse_json(ours);
    ASSERT_TRUE(parsed) << ours;
    EXPECT_EQ(parsed->get<std::string>(), to_valid_utf8(text));
  }
}

TEST(Json, SyntaxErrorsNameLineAndColumn) {
  const auto parsed = parse_json("{\n  \"a\": ,\n}");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Code::invalid);
  EXPECT_NE(parsed.error().message.find("line 2"), std::string::npos) << parsed.error().message;
}

TEST(Json, AZeroByteIsNoEnd) {
  for (const std::string_view text : {std::string_view("{}\0", 3), std::string_view("{}\0garbage", 10),
                                      std::string_view("\0{}", 3), std::string_view("{\"a\0\":1}", 9)}) {
    const auto parsed = parse_json(text);
    ASSERT_FALSE(parsed);
    EXPECT_NE(parsed.error().message.find("malformed at line 1 column "), std::string::npos) << parsed.error().message;
  }
}

// A recursive parser would overflow its stack here.
TEST(Json, NestingBeyondTheLimitIsRefusedBeforeParsing) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  EXPECT_FALSE(parse_json(deep));
  const std::string allowed = std::string(limits::kJsonDepth, '[') + std::string(limits::kJsonDepth, ']');
  EXPECT_TRUE(parse_json(allowed));
  EXPECT_TRUE(parse_json("\"" + std::string(1000, '[') + "\"")) << "brackets in strings do not nest";
}

// An ordered object looks up each key among all before it: without a bound 0.5 MB take seconds.
TEST(Json, ObjectsOfTooManyKeysAreRefusedBeforeParsing) {
  const auto object_of = [](std::size_t keys) {
    std::string text = "{";
    for (std::size_t i = 0; i < keys; ++i) text += (i ? ",\"" : "\"") + std::to_string(i) + "\":1";
    return text + "}";
  };
  EXPECT_TRUE(parse_json(object_of(limits::kJsonObjectKeys)));
  EXPECT_FALSE(parse_json(object_of(limits::kJsonObjectKeys + 1)));
}

TEST(Json, InvalidUtf8IsAnErrorNotAnException) { EXPECT_FALSE(parse_json("\"\xFF\"")); }

TEST(BoundedQueue, RefusesWhenFullAndDrainsAfterClose) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  EXPECT_FALSE(queue.push(3));
  queue.close();
  EXPECT_FALSE(queue.push(4));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, AWaitingConsumerWakesOnClose) {
  BoundedQueue<int> queue(1);
  std::thread consumer([&] { EXPECT_EQ(queue.pop(), std::nullopt); });
  queue.close();
  consumer.join();
}

TEST(Hash, KnownAnswers) {
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(xxh3_128("abc"), xxh3_128(std::string("abc")));
  EXPECT_NE(xxh3_128("abc"), xxh3_128("abd"));
}

TEST(SizedText, OtherTextsInARowAreOtherBytes) {
  const auto joined = [](std::initializer_list<std::string_view> texts) {
    std::string out;
    for (const std::string_view text : texts) append_sized(out, text);
    return out;
  };
  EXPECT_EQ(joined({"ab", "", "c"}), "2:ab0:1:c") << "as in records that are saved";
  EXPECT_NE(joined({"a", "bc"}), joined({"ab", "c"}));
  EXPECT_NE(joined({"1:a"}), joined({"", "a"}));
  EXPECT_NE(joined({"a"}), joined({"a", ""}));
}

}  // namespace
}  // namespace kvern
