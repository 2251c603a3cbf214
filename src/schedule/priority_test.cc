#include "schedule/priority.h"

#include <gtest/gtest.h>

namespace kvern::schedule {
namespace {

constexpr auto kInteractive = Priority::interactive;
constexpr auto kAgent = Priority::sub_agent;
constexpr auto kBackground = Priority::background;

TEST(Claim, AShortPromptGoesBeforeALongOne) {
  EXPECT_TRUE(goes_before({kInteractive, 0, 300, 0, 9}, {kInteractive, 0, 7000, 0, 1}));
  EXPECT_FALSE(goes_before({kInteractive, 0, 7000, 0, 1}, {kInteractive, 0, 300, 0, 9}));
}

TEST(Claim, AmongEqualsTheOlderGoesFirst) {
  EXPECT_TRUE(goes_before({kInteractive, 0, 300, 0, 1}, {kInteractive, 0, 300, 0, 9}));
  EXPECT_FALSE(goes_before({kInteractive, 0, 300, 0, 1}, {kInteractive, 0, 300, 0, 1}));
}

TEST(Claim, SomebodyWaitsForTheAnswerOfAnInteractiveRequest) {
  EXPECT_TRUE(goes_before({kInteractive, 0, 7000, 0, 9}, {kAgent, 0, 300, 0, 1}));
  EXPECT_TRUE(goes_before({kAgent, 0, 7000, 0, 9}, {kBackground, 0, 300, 0, 1}));
}

TEST(Claim, OfOneClassTheClientThatHadLessGoesFirst) {
  EXPECT_TRUE(goes_before({kInteractive, 0, 7000, 0, 9}, {kInteractive, 1, 300, 0, 1}));
  EXPECT_TRUE(goes_before({kInteractive, 5, 7000, 0, 9}, {kAgent, 0, 300, 0, 1})) << "class comes first";
}

TEST(Claim, WhoWasPassedOverOftenEnoughGoesBeforeAllOthers) {
  EXPECT_TRUE(goes_before({kBackground, 9, 7000, kPassedMax, 5}, {kInteractive, 0, 1, 0, 9}));
  EXPECT_FALSE(goes_before({kBackground, 9, 7000, kPassedMax - 1, 5}, {kInteractive, 0, 1, 0, 9}));
  EXPECT_TRUE(goes_before({kBackground, 9, 7000, kPassedMax, 5}, {kInteractive, 0, 1, kPassedMax + 4, 9}))
      << "of two such the older";
}

}  // namespace
}  // namespace kvern::schedule
