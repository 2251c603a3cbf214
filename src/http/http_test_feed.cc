#include "base/clock.h"
#include "http/feed.h"
#include "http/http_test_support.h"
#include "http/sse.h"

namespace kvern::http::test {
namespace {

// A server whose every answer follows one feed.
class FeedServer {
 public:
  explicit FeedServer(Options http = {}, FeedOptions options = {}) {
    options.whole = [] { return std::string("data: whole\n\n"); };
    options.farewell = "data: bye\n\n";
    options.on_followers = [this](std::size_t count) { followers.put(count); };
    server.emplace([this](const Request&, const std::shared_ptr<Exchange>& exchange) { exchange->follow(feed); },
                   std::move(http));
    feed = std::make_shared<Feed>((*server)->loop(), std::move(options));
  }
  ~FeedServer() {
    server->stop();
    feed.reset();
  }

  void publish(const std::string& change) {
    (*server)->post([this, change] { feed->publish(change); });
  }

  Inbox<std::size_t> followers;
  std::optional<TestServer> server;
  std::shared_ptr<Feed> feed;
};

TEST(FollowingAFeed, IsAStreamThatBeginsWithTheWhole) {
  FeedServer server;
  RawClient client = server.server->client();
  client.get("/events");
  const Answer head = client.read_head();
  EXPECT_EQ(head.status, 200);
  for (const char* line : {"Content-Type: text/event-stream\r\n", "Cache-Control: no-cache\r\n",
                           "Transfer-Encoding: chunked\r\n", "Connection: close\r\n"})
    EXPECT_TRUE(head.has(line)) << line << head.head;
  server.publish("data: 1\n\n");
  EXPECT_EQ(client.read_chunk(), "data: whole\n\n");
  server.publish("data: 2\n\n");
  EXPECT_EQ(client.read_chunk(), "data: 2\n\n");
}

TEST(FollowingAFeed, WhatTheClientStillSendsIsThrownAway) {
  FeedServer server;
  RawClient client = server.server->client();
  client.get("/events");
  client.read_head();
  client.send(std::string(200'000, 'x'));
  server.publish("data: 1\n\n");
  EXPECT_EQ(client.read_chunk(), "data: whole\n\n");
}

TEST(FollowingAFeed, Http10GetsItUnframed) {
  FeedServer server;
  RawClient client = server.server->client();
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(client.read_head().has("Transfer-Encoding"));
  server.publish("data: 1\n\n");
  EXPECT_EQ(client.read_until("\n\n"), "data: whole\n\n");
  (*server.server)->drain(kPatience_s * 1000);
  EXPECT_EQ(client.read_to_end(), "data: bye\n\n");
}

TEST(FollowingAFeed, HeadGetsOnlyTheHeaderAndFollowsNothing) {
  FeedServer server;
  RawClient client = server.server->client();
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_head().status, 200);
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_TRUE(server.followers.empty());
}

TEST(FollowingAFeed, AClientThatLeavesIsForgottenAtOnceHoweverItLeaves) {
  enum class Way { close, half_close, reset };
  for (const Way way : {Way::close, Way::half_close, Way::reset}) {
    FeedServer server;
    RawClient client = server.server->client();
    client.get("/events");
    EXPECT_EQ(server.followers.wait(), 1U);
    client.read_head();
    if (way == Way::close) client.close();
    if (way == Way::half_close) client.shutdown_send();
    if (way == Way::reset) client.reset();
    EXPECT_EQ(server.followers.wait(), 0U) << "no text was needed to notice";
  }
}

TEST(FollowingAFeed, SilenceIsFilled) {
  FeedServer server({}, with<FeedOptions>([](auto& o) { o.keep_alive_ms = 20; }));
  RawClient client = server.server->client();
  client.get("/events");
  client.read_head();
  EXPECT_EQ(client.read_chunk(), kSsePing);
  EXPECT_EQ(client.read_chunk(), kSsePing);
}

TEST(FollowingAFeed, AStopSaysFarewellAndDoesNotWait) {
  FeedServer server;
  RawClient client = server.server->client();
  client.get("/events");
  client.read_head();
  server.publish("data: 1\n\n");
  EXPECT_EQ(client.read_chunk(), "data: whole\n\n");
  (*server.server)->drain(kPatience_s * 1000);
  EXPECT_EQ(client.read_chunk(), "data: bye\n\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "0\r\n\r\n");
  EXPECT_EQ(client.read_to_end(), "") << "and the connection ends, though the client has not closed";
}

// Its texts fill the socket's buffers; one more is held for it, all others it skips.
TEST(FollowingAFeed, AClientThatDoesNotReadHoldsUpNobody) {
  FeedServer server;
  RawClient slow(server.server->port(), 4096);
  slow.get("/events");
  EXPECT_EQ(server.followers.wait(), 1U);
  RawClient quick = server.server->client();
  quick.get("/events");
  EXPECT_EQ(server.followers.wait(), 2U);
  quick.read_head();
  std::string big;
  append_sse(big, "", std::string(60'000, 'x'));
  server.publish("");
  EXPECT_EQ(quick.read_chunk(), "data: whole\n\n");
  for (int i = 0; i < 400; ++i) {
    server.publish(big);
    ASSERT_EQ(quick.read_chunk(), big) << i;
  }
  slow.read_head();
  EXPECT_EQ(slow.read_chunk(), "data: whole\n\n");
  int in_order = 0;
  std::string chunk = slow.read_chunk();
  for (; chunk == big; chunk = slow.read_chunk()) ++in_order;
  EXPECT_LT(in_order, 400) << "24 MB were not kept for it";
  EXPECT_EQ(chunk, "data: whole\n\n") << "then the newest state";
  (*server.server)->drain(kPatience_s * 1000);
  EXPECT_EQ(slow.read_chunk(), "data: bye\n\n");
}

// Its text takes longer than the longest silence there may be.
TEST(FollowingAFeed, AClientThatReadsSlowlyIsKept) {
  constexpr std::size_t kPart = 8'000'000;  // more than the system keeps of it
  constexpr std::size_t kParts = 4;
  FakeClock clock;
  FeedServer server({}, with<FeedOptions>([&](auto& o) { o.clock = &clock; }));
  RawClient slow(server.server->port(), 64 * 1024);
  slow.get("/events");
  slow.read_head();
  std::string big;
  append_sse(big, "", std::string(1'000 + kParts * kPart, 'x'));
  server.publish("");
  EXPECT_EQ(slow.read_chunk(), "data: whole\n\n");
  server.publish(big);
  std::size_t got = slow.read_bytes(1'000).size();
  for (std::size_t part = 1; part < kParts; ++part) {
    (*server.server)->post([&] { clock.advance_us(std::int64_t{900} * limits::kWriteTimeout_ms); });
    got += slow.read_bytes(kPart).size();
    server.publish("");  // the feed looks at it
  }
  got += slow.read_bytes(kPart).size();
  EXPECT_EQ(got, 1'000 + kParts * kPart) << "it was given up";
}

TEST(FollowingAFeed, AStopDoesNotWaitForAClientThatDoesNotRead) {
  FeedServer server;
  RawClient slow(server.server->port(), 4096);
  slow.get("/events");
  EXPECT_EQ(server.followers.wait(), 1U);
  std::string big;
  append_sse(big, "", std::string(8'000'000, 'x'));
  server.publish("");
  server.publish(big);
  server.publish(big);
  (*server.server)->drain(kPatience_s * 1000);
  EXPECT_EQ(server.followers.wait(), 0U);
}

}  // namespace
}  // namespace kvern::http::test
