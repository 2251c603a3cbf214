#include "base/json_outline.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"
#include "base/limits.h"

namespace kvern {
namespace {

constexpr std::size_t kMany = 100;

TEST(JsonOutline, MembersAndItemsAreWhereTheyAre) {
  const auto members =
      outline_of(R"( { "a" : [ {"x":[1,{"y":"]"}]} , {"q\",":2} ] ,"b":{"c":1,"d":[{}]}, "e" : 5 } )", kMany);
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 3u);
  EXPECT_EQ((*members)[0].name, "a");
  EXPECT_EQ((*members)[0].items, (std::vector<std::string_view>{R"({"x":[1,{"y":"]"}]})", R"({"q\",":2})"}));
  EXPECT_EQ((*members)[1].value, R"({"c":1,"d":[{}]})");
  EXPECT_TRUE((*members)[1].items.empty());
  EXPECT_EQ((*members)[2].name, "e");
  EXPECT_EQ((*members)[2].value, "5");
}

TEST(JsonOutline, OnlyListsOfObjectsHaveItems) {
  for (const char* list : {"[]", "[1]", "[{},1]", "[1,{}]", "[{},]", "[{},{},{},{}]"}) {
    const std::string text = "{\"a\":" + std::string(list) + ",\"b\":[{}]}";
    const auto members = outline_of(text, 3);
    ASSERT_TRUE(members && members->size() == 2) << list;
    EXPECT_TRUE(members->front().items.empty()) << list;
    EXPECT_EQ(members->front().value, list);
    EXPECT_EQ(members->back().items.size(), 1u) << list;
  }
}

TEST(JsonOutline, WhatIsNoWholeObjectHasNone) {
  for (const char* text : {"", "[1]", "7", "{", R"({"a":[1})", R"({"a)", R"({"a":"\)", "x{}"})
    EXPECT_FALSE(outline_of(text, kMany)) << text;
  EXPECT_TRUE(outline_of("{}", kMany)->empty());
}

// Quotes and backslashes at every place of the eight bytes that are looked at together.
TEST(JsonOutline, StringsEndWhereTheyEnd) {
  for (std::size_t length = 0; length < 20; ++length) {
    const std::string plain(length, 'x');
    for (const std::string& text : {plain, plain + R"(\")" + plain, plain + R"(\\)", R"(\\\")" + plain + "\xC3\xA4]"}) {
      const std::string value = "[\"" + text + "\"]";
      const std::string object = "{\"k\":" + value + ",\"l\":1}";
      const auto members = outline_of(object, kMany);
      ASSERT_TRUE(members) << object;
      ASSERT_EQ(members->size(), 2u) << object;
      EXPECT_EQ(members->front().value, value);
    }
  }
}

// It must not see less than the parser's own guard.
TEST(JsonOutline, LimitsAreThoseOfTheParser) {
  const std::string deep(limits::kJsonDepth, '[');
  EXPECT_FALSE(outline_of("{\"a\":" + deep + std::string(limits::kJsonDepth, ']') + "}", kMany));
  std::string keys = "{\"k\":{";
  for (std::size_t i = 0; i <= limits::kJsonObjectKeys; ++i)
    keys += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":0";
  EXPECT_FALSE(outline_of(keys + "}}", kMany));
  EXPECT_FALSE(parse_json(keys + "}}"));
}

}  // namespace
}  // namespace kvern
