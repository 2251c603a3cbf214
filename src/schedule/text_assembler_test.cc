#include "schedule/text_assembler.h"

#include <gtest/gtest.h>

namespace kvern::schedule {
namespace {

struct Read {
  std::string text;
  std::optional<std::string> stop;
};

Read read(std::vector<std::string> stops, const std::vector<std::string>& pieces) {
  TextAssembler assembler(std::move(stops));
  Read result;
  for (const std::string& piece : pieces) {
    result.stop = assembler.feed(piece, result.text);
    if (result.stop) return result;
  }
  assembler.finish(result.text);
  return result;
}

TEST(TextAssembler, CharactersSplitOverTokensComeOutWhole) {
  TextAssembler assembler({});
  std::string out;
  EXPECT_FALSE(assembler.feed("a\xF0\x9F", out));
  EXPECT_EQ(out, "a");
  EXPECT_FALSE(assembler.feed("\x98\x80", out));
  EXPECT_EQ(out, "a\xF0\x9F\x98\x80");
}

TEST(TextAssembler, AStopStringSplitOverTokensEndsTheTextBeforeIt) {
  const Read r = read({"\n\nHuman:"}, {"Hi", "\n", "\nHu", "man: more"});
  EXPECT_EQ(r.text, "Hi");
  EXPECT_EQ(r.stop, "\n\nHuman:");
}

TEST(TextAssembler, WhatOnlyLookedLikeAStopComesOut) {
  const Read r = read({"STOP"}, {"S", "T", "OX", " ST"});
  EXPECT_EQ(r.text, "STOX ST");
  EXPECT_FALSE(r.stop);
}

TEST(TextAssembler, TheEarliestOfSeveralStopsWins) {
  const Read r = read({"bb", "a"}, {"xxabb"});
  EXPECT_EQ(r.text, "xx");
  EXPECT_EQ(r.stop, "a");
}

// The model may cut its output anywhere.
TEST(TextAssembler, TextDoesNotDependOnHowItWasSplit) {
  const std::string text = "caf\xC3\xA9 <end> \xE2\x82\xAC<en";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const Read r = read({"<end>>"}, {text.substr(0, cut), text.substr(cut)});
    EXPECT_EQ(r.text, text) << cut;
  }
}

TEST(TextAssembler, BytesThatNeverBecomeACharacterAreReplaced) {
  EXPECT_EQ(read({}, {"a\xFF", "b\xC3"}).text,
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

}  // namespace
}  // namespace kvern::schedule
