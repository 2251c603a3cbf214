#include "api/sealed_text.h"

#include <gtest/gtest.h>

namespace kvern::api {
namespace {

TEST(SealedText, ComesBackAsItWas) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", "naïve 漢字 🦊\n\t\"", "kvern1.x"}) {
    const std::string sealed = sealed_text(text);
    EXPECT_FALSE(sealed.empty());
    EXPECT_EQ(sealed.find_first_of(" +/=\"\\\n"), std::string::npos);
    EXPECT_EQ(opened_text(sealed), text);
  }
}

TEST(SealedText, OfAnotherServerIsNotOpened) {
  EXPECT_EQ(opened_text(""), std::nullopt);
  EXPECT_EQ(opened_text("gAAAAABn"), std::nullopt);
  EXPECT_EQ(opened_text("kvern1.a b"), std::nullopt);
}

// A client could write anything: what comes out is text all the same.
TEST(SealedText, OfBytesThatAreNoTextIsText) { EXPECT_EQ(opened_text(sealed_text("\xFF")), "\uFFFD"); }

}  // namespace
}  // namespace kvern::api
