#include <algorithm>
#include <atomic>

#include "http/http_test_support.h"
#include "http/sse.h"

namespace kvern::http::test {
namespace {

std::string big_event() {
  std::string out;
  append_sse(out, "", std::string(16 * 1024, 'x'));
  return out;
}

TEST(Stream, TheHeaderIsSentAtOnceAndTheConnectionGoesOn) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.get("/stream");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  caught->exchange->start_stream({{"X-Extra", "1"}});
  const Answer head = client.read_head();
  EXPECT_EQ(head.status, 200);
  for (const char* line : {"Content-Type: text/event-stream\r\n", "Cache-Control: no-cache\r\n",
                           "X-Accel-Buffering: no\r\n", "Transfer-Encoding: chunked\r\n", "X-Extra: 1\r\n"})
    EXPECT_TRUE(head.has(line)) << line << head.head;
  caught->exchange->write("data: 1\n\n");
  EXPECT_EQ(client.read_chunk(), "data: 1\n\n");
  caught->exchange->write("data: 2\n\n");
  EXPECT_EQ(client.read_chunk(), "data: 2\n\n");
  caught->exchange->finish();
  EXPECT_EQ(client.read_until("\r\n\r\n"), "0\r\n\r\n");
  client.get("/again");
  const auto again = inbox.wait();
  ASSERT_TRUE(again);
  again->exchange->respond(200, "text/plain", "same connection");
  EXPECT_EQ(client.read_answer().body, "same connection");
}

TEST(Stream, Http10GetsItUnframedUntilTheConnectionCloses) {
  TestServer server([](const Request&, const std::shared_ptr<Exchange>& exchange) {
    exchange->start_stream();
    exchange->write("data: 1\n\n");
    exchange->write("data: 2\n\n");
    exchange->finish();
  });
  RawClient client = server.client();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const Answer head = client.read_head();
  EXPECT_TRUE(head.has("Connection: close\r\n"));
  EXPECT_FALSE(head.has("Transfer-Encoding"));
  EXPECT_EQ(client.read_to_end(), "data: 1\n\ndata: 2\n\n");
}

TEST(Stream, HeadGetsOnlyTheHeader) {
  TestServer server([](const Request& request, const std::shared_ptr<Exchange>& exchange) {
    if (request.method == "GET") return echo(request, exchange);
    exchange->start_stream();
    exchange->write("data: 1\n\n");
    exchange->finish();
  });
  RawClient client = server.client();
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_head().status, 200);
  client.get("/b");
  EXPECT_EQ(client.read_answer().body, "GET /b? ");
}

TEST(Stream, SilenceIsFilledWithPings) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox), with<Options>([&](auto& o) { o.ping_interval_ms = 20; }));
  RawClient client = server.client();
  client.get("/stream");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  caught->exchange->start_stream();
  client.read_head();
  EXPECT_EQ(client.read_chunk(), kSsePing) << "before the first event";
  caught->exchange->write("data: 1\n\n");
  std::string chunk = client.read_chunk();
  while (chunk == kSsePing) chunk = client.read_chunk();
  EXPECT_EQ(chunk, "data: 1\n\n");
  EXPECT_EQ(client.read_chunk(), kSsePing) << "after it";
  caught->exchange->finish();
  while (!client.read_chunk().empty()) {
  }
  client.get("/again");
  inbox.wait()->exchange->respond(200, "text/plain", "no ping in between");
  EXPECT_EQ(client.read_answer().body, "no ping in between");
}

TEST(Stream, AClientThatLeavesIsSeenAtOnceHoweverItLeaves) {
  enum class Way { close, half_close, reset };
  for (const Way way : {Way::close, Way::half_close, Way::reset}) {
    Inbox<Caught> inbox;
    Inbox<bool> closed;
    TestServer server(catch_into(inbox));
    RawClient client = server.client();
    client.get("/stream");
    const auto caught = inbox.wait();
    ASSERT_TRUE(caught);
    caught->exchange->on_close([&] { closed.put(true); });
    caught->exchange->start_stream();
    client.read_head();
    EXPECT_FALSE(caught->exchange->closed());
    if (way == Way::close) client.close();
    if (way == Way::half_close) client.shutdown_send();
    if (way == Way::reset) client.reset();
    EXPECT_TRUE(closed.wait()) << "no write was needed to notice";
    EXPECT_TRUE(caught->exchange->closed());
    if (way == Way::half_close) {
      EXPECT_EQ(client.read_to_end(), "") << "the stream is cut";
    }
    caught->exchange->on_close([&] { closed.put(true); });
    EXPECT_TRUE(closed.wait()) << "told at once when it has already happened";
    caught->exchange->write("ignored");
    caught->exchange->finish();
  }
}

TEST(Stream, LeavingBeforeTheAnswerIsSeenToo) {
  Inbox<Caught> inbox;
  Inbox<bool> closed;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.get("/slow");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  caught->exchange->on_close([&] { closed.put(true); });
  client.close();
  EXPECT_TRUE(closed.wait());
}

// Otherwise an answered exchange whose callbacks hold it would live as long as the process.
TEST(Stream, CallbacksAreDroppedWhenTheExchangeIsOver) {
  std::weak_ptr<Exchange> watched;
  Inbox<bool> gone;
  TestServer server([&](const Request&, const std::shared_ptr<Exchange>& exchange) {
    watched = exchange;
    const std::shared_ptr<void> sentinel(nullptr, [&](void*) { gone.put(true); });
    exchange->on_close([sentinel, exchange] { ADD_FAILURE() << "nobody left"; });
    exchange->on_room([sentinel, exchange] {});
    exchange->respond(200, "text/plain", "done");
  });
  RawClient client = server.client();
  client.get("/");
  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_TRUE(gone.wait());
  EXPECT_TRUE(watched.expired());
}

TEST(Stream, AnUnfinishedStreamIsCutNotEnded) {
  TestServer server([](const Request&, const std::shared_ptr<Exchange>& exchange) {
    exchange->start_stream();
    exchange->write("data: 1\n\n");
  });
  RawClient client = server.client();
  client.get("/");
  client.read_head();
  const std::string rest = client.read_to_end();
  EXPECT_EQ(rest.find("0\r\n\r\n"), std::string::npos) << "a client must see that something is missing";
}

TEST(Stream, ASlowReaderHoldsTheProducerUntilThereIsRoom) {
  Inbox<Caught> inbox;
  Inbox<bool> room;
  TestServer server(catch_into(inbox));
  RawClient client(server.port(), 4096);
  client.get("/stream");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  Exchange& exchange = *caught->exchange;
  exchange.on_room([&] { room.put(true); });
  exchange.start_stream();
  const std::string event = big_event();
  std::size_t events = 0;
  // The kernel's buffers take some megabytes first; then nothing drains and the bound is reached.
  while (exchange.unsent_bytes() < limits::kStreamBufferBytes) {
    exchange.write(event);
    ++events;
  }
  std::string received;
  std::thread reader([&] { received = client.read_answer().body; });
  EXPECT_TRUE(room.wait());
  EXPECT_LT(exchange.unsent_bytes(), limits::kStreamBufferBytes / 2);
  exchange.finish();
  reader.join();
  EXPECT_EQ(received.size(), events * event.size());
  EXPECT_EQ(exchange.unsent_bytes(), 0U);
}

TEST(Stream, AClientThatTakesNothingIsCutOff) {
  Inbox<Caught> inbox;
  Inbox<bool> closed;
  TestServer server(catch_into(inbox), with<Options>([&](auto& o) { o.write_timeout_ms = 100; }));
  RawClient client(server.port(), 4096);
  client.get("/stream");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  caught->exchange->on_close([&] { closed.put(true); });
  caught->exchange->start_stream();
  caught->exchange->write(std::string(32 * 1024 * 1024, 'x'));
  EXPECT_TRUE(closed.wait());
  EXPECT_TRUE(caught->exchange->closed());
}

TEST(Stream, RunOnNetKeepsItsPlaceAmongTheWrites) {
  Inbox<Caught> inbox;
  Inbox<std::thread::id> where;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.get("/stream");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  server->post([&] { where.put(std::this_thread::get_id()); });
  caught->exchange->run_on_net([&] { where.put(std::this_thread::get_id()); });
  const auto net = where.wait();
  EXPECT_EQ(where.wait(), net);
  EXPECT_NE(net, std::this_thread::get_id());
}

TEST(Stream, CallbacksThatThrowDoNotEndTheLoop) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.get("/stream");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  caught->exchange->on_close([] { throw std::runtime_error("on_close"); });
  caught->exchange->run_on_net([] { throw std::runtime_error("run_on_net"); });
  client.close();
  RawClient next = server.client();
  next.get("/");
  const auto answered = inbox.wait();
  ASSERT_TRUE(answered);
  answered->exchange->respond(200, "text/plain", "alive");
  EXPECT_EQ(next.read_answer().body, "alive");
}

// Agents keep many sessions open; a laptop that sleeps drops them all together.
TEST(Stream, TwoHundredIdleStreamsAllEndWhenTheirClientsLeave) {
  constexpr int kStreams = 200;
  std::atomic<int> closed{0};
  Inbox<bool> all_closed;
  TestServer server([&](const Request&, const std::shared_ptr<Exchange>& exchange) {
    // The exchange is held by its own callback alone, as a cancelled generation would.
    exchange->on_close([&, exchange] {
      if (++closed == kStreams) all_closed.put(true);
    });
    exchange->start_stream();
  });
  std::vector<RawClient> clients;
  for (int i = 0; i < kStreams; ++i) {
    clients.push_back(server.client());
    clients.back().get("/stream");
  }
  for (RawClient& client : clients) EXPECT_EQ(client.read_head().status, 200);
  EXPECT_EQ(closed, 0);
  clients.clear();
  EXPECT_TRUE(all_closed.wait());
  EXPECT_EQ(closed, kStreams);
}

// Many threads, each answering many clients: the order within one exchange holds.
TEST(Stream, ManyThreadsMayWriteAtOnce) {
  TestServer server([](const Request&, std::shared_ptr<Exchange> exchange) {
    std::thread([exchange = std::move(exchange)] {
      exchange->start_stream();
      for (int i = 0; i < 200; ++i) exchange->write(std::to_string(i) + ",");
      exchange->finish();
    }).detach();
  });
  std::string expected;
  for (int i = 0; i < 200; ++i) expected += std::to_string(i) + ",";
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 8; ++reader) {
    readers.emplace_back([&] {
      RawClient client = server.client();
      for (int i = 0; i < 5; ++i) {
        client.get("/");
        EXPECT_EQ(client.read_answer().body, expected);
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace kvern::http::test
