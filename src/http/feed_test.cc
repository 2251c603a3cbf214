#include "http/feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "http/test_loop.h"

namespace kvern::http {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Client final : FeedFollower {
  bool busy() const override { return is_busy; }
  void tell(SharedFeedText text) override {
    ASSERT_FALSE(is_busy);
    texts.push_back(std::move(text));
    is_busy = true;
  }
  void give_up() override {
    given_up = true;
    if (feed) feed->remove(*this);
  }
  // The socket took a part of it.
  void took_some() { feed->took_some(*this); }
  // The socket took it.
  void took() {
    is_busy = false;
    feed->was_told(*this);
  }
  std::vector<std::string> told() const {
    std::vector<std::string> all;
    for (const SharedFeedText& text : texts) all.emplace_back(text->plain());
    return all;
  }

  Feed* feed = nullptr;
  bool is_busy = false;
  bool given_up = false;
  std::vector<SharedFeedText> texts;
};

class FeedTest : public testing::Test {
 protected:
  std::shared_ptr<Feed> make(FeedOptions options = {}) {
    options.whole = [this] {
      ++wholes;
      return "whole" + state;
    };
    options.farewell = "bye";
    options.on_followers = [this](std::size_t count) { followers = count; };
    options.clock = &loop->clock();
    return std::make_shared<Feed>(loop, std::move(options));
  }
  void publish(Feed& feed, const std::string& to, const std::string& change) {
    state = to;
    feed.publish(change);
    loop->run();
  }
  static void join(Feed& feed, Client& client) {
    client.feed = &feed;
    feed.add(client);
  }

  std::shared_ptr<test::TestLoop> loop = std::make_shared<test::TestLoop>();
  std::string state;
  int wholes = 0;
  std::size_t followers = 0;
};

TEST(FeedText, IsAChunkOfItsOwn) {
  const FeedText text("data: 0123456789\n\n");
  EXPECT_EQ(text.chunked(), "12\r\ndata: 0123456789\n\n\r\n");
  EXPECT_EQ(text.plain(), "data: 0123456789\n\n");
  const FeedText last("x", FeedText::Place::last);
  EXPECT_EQ(last.chunked(), "1\r\nx\r\n0\r\n\r\n");
  EXPECT_EQ(last.plain(), "x");
}

TEST_F(FeedTest, TheWholeComesFirstThenWhatChanges) {
  const auto feed = make();
  Client early;
  join(*feed, early);
  EXPECT_THAT(early.told(), IsEmpty()) << "nothing is known yet";
  publish(*feed, "1", "first");
  early.took();
  Client late;
  join(*feed, late);
  late.took();
  publish(*feed, "2", "+2");
  EXPECT_THAT(early.told(), ElementsAre("whole1", "+2"));
  EXPECT_THAT(late.told(), ElementsAre("whole1", "+2"));
  EXPECT_EQ(early.texts[0], late.texts[0]) << "one text for both";
  EXPECT_EQ(early.texts[1], late.texts[1]);
  EXPECT_EQ(wholes, 1);
  feed->remove(early);
  feed->remove(late);
}

// States are absolute, so whoever was too slow misses nothing that is still true.
TEST_F(FeedTest, ASlowClientSkipsToTheNewestState) {
  const auto feed = make();
  Client slow;
  join(*feed, slow);
  publish(*feed, "1", "+1");
  for (int i = 2; i < 100; ++i) publish(*feed, std::to_string(i), "+" + std::to_string(i));
  EXPECT_THAT(slow.told(), ElementsAre("whole1")) << "one text at most waits for it";
  slow.took();
  EXPECT_THAT(slow.told(), ElementsAre("whole1", "whole99"));
  slow.took();
  EXPECT_EQ(slow.texts.size(), 2U) << "it has all there is";
  publish(*feed, "100", "+100");
  EXPECT_EQ(slow.told().back(), "+100") << "from then on it keeps up again";
  feed->remove(slow);
}

TEST_F(FeedTest, WhatWasForgottenIsToldToNobody) {
  const auto feed = make();
  Client old;
  join(*feed, old);
  publish(*feed, "1", "+1");
  old.took();
  feed->forget();
  Client fresh;
  join(*feed, fresh);
  EXPECT_THAT(fresh.told(), IsEmpty());
  publish(*feed, "5", "+5");
  EXPECT_THAT(fresh.told(), ElementsAre("whole5"));
  EXPECT_THAT(old.told(), ElementsAre("whole1", "whole5")) << "a change would be one from a state it never saw";
  feed->remove(old);
  feed->remove(fresh);
}

TEST_F(FeedTest, NoChangeMeansTheWholeForEverybody) {
  const auto feed = make();
  Client client;
  join(*feed, client);
  publish(*feed, "1", "+1");
  client.took();
  publish(*feed, "2", "");
  EXPECT_THAT(client.told(), ElementsAre("whole1", "whole2"));
  feed->remove(client);
}

TEST_F(FeedTest, SilenceIsFilledByOneTimerAndOnlyWhileSomebodyListens) {
  const auto feed = make();
  EXPECT_EQ(loop->running_timers(), 0U);
  Client quick;
  Client slow;
  join(*feed, quick);
  join(*feed, slow);
  publish(*feed, "1", "+1");
  quick.took();
  loop->advance_ms(limits::kFeedKeepAlive_ms - 1);
  EXPECT_EQ(quick.texts.size(), 1U);
  loop->advance_ms(1);
  EXPECT_THAT(quick.told(), ElementsAre("whole1", ": keep-alive\n\n"));
  EXPECT_THAT(slow.told(), ElementsAre("whole1")) << "more would only wait with the rest";
  EXPECT_EQ(loop->running_timers(), 1U);
  feed->remove(quick);
  feed->remove(slow);
  EXPECT_EQ(loop->running_timers(), 0U);
  EXPECT_EQ(followers, 0U);
}

TEST_F(FeedTest, AClientThatTakesNothingIsGivenUp) {
  const auto feed = make();
  Client stuck;
  join(*feed, stuck);
  publish(*feed, "1", "+1");
  loop->advance_ms(limits::kWriteTimeout_ms);
  publish(*feed, "2", "+2");
  EXPECT_FALSE(stuck.given_up);
  loop->advance_ms(limits::kFeedKeepAlive_ms);
  EXPECT_TRUE(stuck.given_up);
  EXPECT_EQ(feed->followers(), 0U);
}

// However long a text takes on its way.
TEST_F(FeedTest, AClientThatTakesAByteNowAndThenIsKept) {
  const auto feed = make();
  Client slow;
  join(*feed, slow);
  publish(*feed, "1", "+1");
  for (int i = 0; i < 4; ++i) {
    loop->advance_ms(limits::kWriteTimeout_ms - 1);
    slow.took_some();
  }
  EXPECT_FALSE(slow.given_up);
  slow.took();
  EXPECT_FALSE(slow.given_up);
  publish(*feed, "2", "+2");
  EXPECT_EQ(slow.told().back(), "+2");
  loop->advance_ms(limits::kWriteTimeout_ms + limits::kFeedKeepAlive_ms);
  EXPECT_TRUE(slow.given_up);
}

// Whoever asks for something else gets a turn in between, and clients may leave meanwhile.
TEST_F(FeedTest, AThousandAreToldInPartsAndMayLeaveInBetween) {
  const auto feed = make();
  std::vector<Client> clients(1000);
  for (Client& client : clients) join(*feed, client);
  EXPECT_EQ(followers, 1000U);
  state = "1";
  feed->publish("+1");
  std::size_t parts = 0;
  int left_untold = 0;
  for (; loop->run_one(); ++parts) {
    Client& late = clients[999 - parts];
    left_untold += late.texts.empty();
    feed->remove(late);
    feed->remove(clients[parts]);
  }
  EXPECT_GT(parts, 10U);
  EXPECT_GT(left_untold, 10);
  const auto told = std::count_if(clients.begin(), clients.end(), [](const Client& one) { return !one.texts.empty(); });
  EXPECT_EQ(told, 1000 - left_untold);
  EXPECT_EQ(wholes, 1);
  EXPECT_EQ(followers, 1000U - 2U * parts);
}

TEST_F(FeedTest, NewsInTheMiddleOfARoundReachEverybodyOnce) {
  const auto feed = make();
  std::vector<Client> clients(100);
  for (Client& client : clients) join(*feed, client);
  publish(*feed, "1", "+1");
  for (Client& client : clients) client.took();
  state = "2";
  feed->publish("+2");
  for (Client& client : clients) {
    if (client.is_busy) client.took();
  }
  state = "3";
  feed->publish("+3");
  loop->run();
  for (const Client& client : clients) {
    const bool first = client.told()[1] == "+2";
    EXPECT_EQ(client.told().back(), first ? "+3" : "whole3");
    EXPECT_EQ(client.texts.size(), first ? 3U : 2U);
  }
}

}  // namespace
}  // namespace kvern::http
