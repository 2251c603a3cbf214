#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "constrain/schema.h"
#include "constrain/test_vocab.h"
#include "constrain/text_grammar.h"

namespace kvern::constrain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kClose = "\n</p>\n";

class StringTerminals : public ::testing::Test {
 protected:
  // Whether the value, followed by the closing tag, is taken to its end as a lazy rule of a tagged dialect.
  bool takes(const StringKeywords& keywords, std::string_view value) {
    std::vector<std::string> lost;
    const auto terminal = string_terminal(keywords, kClose, lost);
    EXPECT_TRUE(terminal);
    EXPECT_THAT(lost, IsEmpty());
    if (!terminal) return false;
    const auto grammar = compiler_->compile(
        fmt::format("start: value \"!\"\nvalue[lazy]: VALUE {}\nVALUE: {}\n", lark_literal(kClose), *terminal));
    EXPECT_TRUE(grammar) << *terminal << "\n" << (grammar ? "" : grammar.error().message);
    if (!grammar) return false;
    const auto matcher = (*grammar)->start();
    for (const TokenId token : vocab_.encode(fmt::format("{}{}!", value, kClose)))
      if (!matcher->accept(token)) return false;
    return matcher->finished() || matcher->allows(vocab_.im_end());
  }

  std::vector<std::string> relaxed(const StringKeywords& keywords) {
    std::vector<std::string> lost;
    EXPECT_TRUE(string_terminal(keywords, kClose, lost));
    return lost;
  }

  TestVocab vocab_;
  std::unique_ptr<Compiler> compiler_ = std::move(Compiler::create(vocab_)).value();
};

TEST_F(StringTerminals, ObeyPatternsFoundAnywhereUnlessAnchored) {
  EXPECT_TRUE(takes({"b+"}, "abc"));
  EXPECT_TRUE(takes({"b+"}, "a\nb"));
  EXPECT_FALSE(takes({"b+"}, "ac"));
  EXPECT_TRUE(takes({"^a/b$|^c"}, "a/b"));
  EXPECT_TRUE(takes({"^a/b$|^c"}, "cx"));
  EXPECT_FALSE(takes({"^a/b$|^c"}, "a/bx"));
  EXPECT_TRUE(takes({"^\\d\\w[[&]$"}, "1x["));
  EXPECT_FALSE(takes({"^\\d$"}, "\u0661")) << "digits are ASCII in ECMA-262";
}

TEST_F(StringTerminals, CountCharactersAndNotBytes) {
  EXPECT_TRUE(takes({"", "", 2, 3}, "\u65e5\u672c"));
  EXPECT_TRUE(takes({"", "", 2, 3}, "a\nb"));
  EXPECT_FALSE(takes({"", "", 2, 3}, "\u65e5"));
  EXPECT_FALSE(takes({"", "", 2, 3}, "abcd"));
  EXPECT_TRUE(takes({"", "", 1, -1}, "abcd"));
}

TEST_F(StringTerminals, NeverHoldTheClosingTag) {
  EXPECT_TRUE(takes({"", "", 1, -1}, "a\n</p> b"));
  EXPECT_FALSE(takes({"", "", 1, -1}, "a\n</p>\nb"));
  EXPECT_FALSE(takes({"", "", 1, -1}, "a\n</p>")) << "its end would be the tag's beginning";
}

// The check is the judge of what a format is.
TEST_F(StringTerminals, AgreeWithTheCheckAboutFormats) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> table = {
      {"date", {"2024-02-29", "2023-02-29", "2024-13-01", "2024-04-31", "1900-02-29", "2000-02-29"}},
      {"time", {"12:30:00Z", "23:59:60Z", "12:30:60Z", "12:30:00+05:30", "24:00:00Z", "12:30:00"}},
      {"date-time", {"2024-02-29T01:02:03.5Z", "2023-02-29T01:02:03Z", "2024-02-29 01:02:03Z"}},
      {"duration", {"P1Y2M3D", "PT5M", "P1W", "P", "PT", "P1YT"}},
      {"email", {"a@b.c", "a.b@c", ".a@b.c", "a..b@c", std::string(64, 'x') + "@b.c", std::string(65, 'x') + "@b.c"}},
      {"hostname", {"a.b-c.d", "-a.b", "a..b", std::string(64, 'a')}},
      {"ipv4", {"1.2.3.4", "256.1.1.1", "1.2.3", "01.2.3.4"}},
      {"ipv6", {"::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1::2::3", "12345::"}},
      {"uuid", {"123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"}},
      {"uri", {"http://a.b/c?d#e", "urn:x:y", "a/b", "http://[::1]:80/", "http://a b"}},
      {"json-pointer", {"", "/a/b~1c", "a", "/~2"}},
  };
  for (const auto& [format, values] : table) {
    const auto check = SchemaCheck::compile(fmt::format(R"({{"format": "{}"}})", format));
    ASSERT_TRUE(check);
    for (const std::string& value : values)
      EXPECT_EQ(takes({"", format}, value), check->check("\"" + value + "\"").has_value()) << format << " " << value;
  }
}

TEST_F(StringTerminals, AskForNothingWhenTheSchemaDoesNot) {
  std::vector<std::string> lost;
  EXPECT_EQ(*string_terminal({}, kClose, lost), "");
  EXPECT_THAT(lost, IsEmpty());
}

TEST_F(StringTerminals, WhatCannotBeExpressedIsNamed) {
  EXPECT_THAT(relaxed({"^(?!x)"}), ElementsAre("pattern"));
  EXPECT_THAT(relaxed({"", "markdown"}), ElementsAre("format \"markdown\""));
  EXPECT_THAT(relaxed({"", "", 0, 1'000'000'000}), ElementsAre("maxLength"));
  EXPECT_THAT(relaxed({"^a$", "", 5, -1}), ElementsAre(HasSubstr("no value was found")));
  EXPECT_THAT(relaxed({"a", "date"}), ElementsAre(HasSubstr("no value was found")));
  EXPECT_THAT(relaxed({"", "", 5, 2}), ElementsAre(HasSubstr("no value was found")));
}

}  // namespace
}  // namespace kvern::constrain
