#include "engine/fake/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvern::engine {
namespace {

using Groups = std::vector<std::string>;

std::optional<Groups> search(std::string_view pattern, std::string_view text) {
  const auto compiled = Pattern::compile(pattern);
  if (!compiled) {
    ADD_FAILURE() << pattern << ": " << compiled.error().message;
    return std::nullopt;
  }
  return compiled->search(text);
}

TEST(Pattern, FindsTheLeftmostMatchAndItsGroups) {
  EXPECT_EQ(search("read (\\S+) (?:and|or) (\\w+)", "please read a.txt and b.txt"),
            (Groups{"read a.txt and b", "a.txt", "b"}));
  EXPECT_EQ(search("a|ab", "xab"), Groups{"a"}) << "the first alternative wins";
  EXPECT_EQ(search("(a)|(b)", "b"), (Groups{"b", "", "b"}));
  EXPECT_EQ(search("abc|bcd|cd|e", "xbcde"), Groups{"bcd"});
  EXPECT_EQ(search("b", "aaa"), std::nullopt);
  EXPECT_EQ(search("", "aaa"), Groups{""});
}

TEST(Pattern, RepetitionsAreGreedyUnlessLazy) {
  EXPECT_EQ(search("<(.*)>", "<a><b>"), (Groups{"<a><b>", "a><b"}));
  EXPECT_EQ(search("<(.*?)>", "<a><b>"), (Groups{"<a>", "a"}));
  EXPECT_EQ(search("a{2,3}", "aaaa"), Groups{"aaa"});
  EXPECT_EQ(search("a{2,3}?", "aaaa"), Groups{"aa"});
  EXPECT_EQ(search("a{3}", "aa"), std::nullopt);
  EXPECT_EQ(search("a{2,}b", "aaab"), Groups{"aaab"});
  EXPECT_EQ(search("colou?r", "color"), Groups{"color"});
  EXPECT_EQ(search("(?:a*)*b", "aab"), Groups{"aab"}) << "a repetition of what may be empty ends";
  EXPECT_EQ(search("(ab|c)+", "xabcab"), (Groups{"abcab", "ab"}));
}

TEST(Pattern, AnchorsHoldAtLineEnds) {
  EXPECT_EQ(search("^hello$", "x\nhello\ny"), Groups{"hello"});
  EXPECT_EQ(search("^ello", "hello"), std::nullopt);
  EXPECT_EQ(search("\\bcat\\b", "concat cat"), Groups{"cat"});
  EXPECT_EQ(search("\\Bcat", "cat concat"), Groups{"cat"});
  EXPECT_EQ(search("a.b", "a\nb"), std::nullopt) << "a dot is not a newline";
  EXPECT_EQ(search("a[\\s\\S]b", "a\nb"), Groups{"a\nb"});
}

TEST(Pattern, ClassesAndEscapesNameBytes) {
  EXPECT_EQ(search("[a-c_-]+", "zzb-a_c"), Groups{"b-a_c"});
  EXPECT_EQ(search("[^\\d\\]]+", "12]xy3"), Groups{"xy"});
  EXPECT_EQ(search("\\x41\\.\\t\\{", "A.\t{"), Groups{"A.\t{"});
  EXPECT_EQ(search("é+", "caféé"), Groups{"é"}) << "a repetition repeats a byte, so the second é is not taken";
  EXPECT_EQ(search("\\D\\W\\S", "1a a-x"), Groups{"a a"});
}

TEST(Pattern, WhatIsNotSupportedIsAnError) {
  for (const char* pattern : {"(", ")", "a)", "[a", "*a", "a{2", "a{x}", "a{3,2}", "(?=a)", "\\1", "\\q", "\\", "\\x4",
                              "[z-a]", "[\\d-z]", "a**", "a{999}", "(((a{200}){200}){200})j", "[é]"}) {
    const auto compiled = Pattern::compile(pattern);
    ASSERT_FALSE(compiled) << pattern;
    EXPECT_EQ(compiled.error().code, Code::invalid);
    EXPECT_THAT(compiled.error().message, testing::HasSubstr("character")) << pattern;
  }
  EXPECT_FALSE(Pattern::compile(std::string(100'000, '(')));
}

// A backtracking matcher overflows the stack or needs years here.
TEST(Pattern, LongTextsCostOneStepAByte) {
  const std::string text(64 * 1024, 'a');
  EXPECT_EQ(search("((a|b)|(c|d))*x", text), std::nullopt);
  EXPECT_EQ(search("(a*)*(a*)*b", text), std::nullopt);
  EXPECT_EQ(search("[\\s\\S]*", text)->front().size(), text.size());
}

}  // namespace
}  // namespace kvern::engine
