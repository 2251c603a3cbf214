#include "api/custom_input.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/json.h"
#include "base/json_text.h"
#include "base/utf8.h"

namespace kvern::api {
namespace {

// Arguments that are UTF-8 come out in whole characters.
std::string in_pieces(std::string_view arguments, std::size_t size) {
  const bool utf8 = is_utf8(arguments);
  CustomInput reader;
  std::string out;
  for (std::size_t at = 0; at < arguments.size(); at += size) {
    std::string piece;
    reader.feed(arguments.substr(at, size), piece);
    EXPECT_TRUE(!utf8 || is_utf8(piece)) << "a piece ends inside a character";
    out += piece;
  }
  return out;
}

TEST(CustomInput, IsTheTextOfTheMemberInput) {
  EXPECT_EQ(custom_input(R"({"input": "a\nb"})"), "a\nb");
  EXPECT_EQ(custom_input(R"( { "input" :"x" } )"), "x");
  EXPECT_EQ(custom_input(R"({"input":""})"), "");
  EXPECT_EQ(custom_input(R"({"\u0069nput":"x"})"), "x") << "keys have escapes, too";
  EXPECT_EQ(custom_input(R"({"why":"{\"input\":\"no\"}","n":[1,{"input":"no"}],"input":"yes","z":1})"), "yes");
  EXPECT_EQ(custom_input(R"({"a":1})"), "");
  EXPECT_EQ(custom_input(R"({"input":{"input":"x"}})"), "") << "no text is no input";
}

TEST(CustomInput, EscapesAreRead) {
  EXPECT_EQ(custom_input(R"({"input":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00"})"),
            "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(custom_input("{\"input\":\"\xF0\x9F\x98\x80\"}"), "\xF0\x9F\x98\x80");
}

TEST(CustomInput, HalfACharacterIsAReplacement) {
  const std::string replacement(kReplacementCharacter);
  EXPECT_EQ(custom_input(R"({"input":"a\ud83db"})"), "a" + replacement + "b");
  EXPECT_EQ(custom_input(R"({"input":"\ude00"})"), replacement);
  EXPECT_EQ(custom_input(R"({"input":"\ud83d\ud83d\ude00"})"), replacement + "\xF0\x9F\x98\x80");
  EXPECT_EQ(custom_input(R"({"input":"\ud83d\n"})"), replacement + "\n");
  EXPECT_EQ(custom_input(R"({"input":"\ud8zz"})"), replacement + "zz");
}

// Nothing a model wrote is lost because it is no object.
TEST(CustomInput, WhatIsNoObjectIsTheInput) {
  EXPECT_EQ(custom_input("*** Begin Patch\n{}\n"), "*** Begin Patch\n{}\n");
  EXPECT_EQ(custom_input(R"("a\nb")"), "a\nb");
  EXPECT_EQ(custom_input(""), "");
}

TEST(CustomInput, ArgumentsThatWereCutOffGiveWhatTheyHold) {
  const std::string whole = "{\"input\": \"a\\\"b\\n\xC3\xA9\\u00e9\\ud83d\\ude00 end\"}";
  const std::string text = custom_input(whole);
  EXPECT_EQ(text, "a\"b\n\xC3\xA9\xC3\xA9\xF0\x9F\x98\x80 end");
  for (std::size_t cut = 0; cut <= whole.size(); ++cut)
    EXPECT_TRUE(text.starts_with(custom_input(whole.substr(0, cut)))) << cut;
}

TEST(CustomInput, ForAnyTextAndAnySplitItIsTheText) {
  std::mt19937 random(5);
  const std::vector<std::string> parts = {"a",  "\"",   "\\",       "\n",           "\t",
                                          "{}", "\x01", "\xC3\xA9", "\xE2\x80\xA8", "\xF0\x9F\x98\x80"};
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += parts[random() % parts.size()];
    std::string arguments = "{\"input\": ";
    if (round % 2 == 0) {
      append_json_string(arguments, text);
    } else {
      arguments += Json(text).dump(-1, ' ', /*ensure_ascii=*/true);
    }
    arguments += '}';
    for (std::size_t size = 1; size <= arguments.size(); ++size)
      ASSERT_EQ(in_pieces(arguments, size), text) << arguments << " in pieces of " << size;
  }
}

TEST(CustomInput, AnyBytesInAnySplitAreReadAlike) {
  std::mt19937 random(7);
  const std::string_view alphabet = "{}[]\":,\\uinptdD8c0 \xC3\xA9\xF0\x9F";
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = round % 2 == 0 ? "{\"input\":\"" : "";
    for (auto n = random() % 30; n > 0; --n) bytes += alphabet[random() % alphabet.size()];
    const std::string whole = custom_input(bytes);
    for (const std::size_t size : {1, 2, 3, 7}) ASSERT_EQ(in_pieces(bytes, size), whole) << bytes;
  }
}

}  // namespace
}  // namespace kvern::api
