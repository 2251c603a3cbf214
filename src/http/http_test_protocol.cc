#include <random>

#include "http/http_test_support.h"

namespace kvern::http::test {
namespace {

TEST(Protocol, RequestsOfOneConnectionAreAnsweredInOrder) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.send(
      "GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
      "GET /three HTTP/1.1\r\nHost: x\r\n\r\n");
  for (const std::string path : {"/one", "/two", "/three"}) {
    auto caught = inbox.wait();
    ASSERT_TRUE(caught);
    EXPECT_EQ(caught->request.path, path);
    EXPECT_TRUE(inbox.empty()) << "the next is read after the answer";
    caught->exchange->respond(200, "text/plain", path);
    const Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, path);
  }
}

TEST(Protocol, TheRequestArrivesWholeWithItsPeer) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.send("PUT /a%20b?c=%20 HTTP/1.1\r\nHost: h\r\nX-Name: Value\r\nContent-Length: 4\r\n\r\nbody");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->request.method, "PUT");
  EXPECT_EQ(caught->request.path, "/a b");
  EXPECT_EQ(caught->request.query, "c=%20");
  EXPECT_EQ(caught->request.header("x-name"), "Value");
  EXPECT_EQ(caught->request.body, "body");
  EXPECT_TRUE(caught->request.peer.starts_with("127.0.0.1:")) << caught->request.peer;
}

TEST(Protocol, Http10ClosesUnlessAskedToStay) {
  TestServer server;
  RawClient client = server.client();
  client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(client.read_answer().has("Connection: keep-alive\r\n"));
  client.send("GET /b HTTP/1.0\r\n\r\n");
  const Answer last = client.read_answer();
  EXPECT_EQ(last.body, "GET /b? ");
  EXPECT_TRUE(last.has("Connection: close\r\n"));
  EXPECT_TRUE(client.sees_close());
}

TEST(Protocol, ConnectionCloseIsObeyed) {
  TestServer server;
  RawClient client = server.client();
  client.send("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.read_answer().has("Connection: close\r\n"));
  EXPECT_TRUE(client.sees_close());
}

TEST(Protocol, HeadHasTheLengthButNotTheBody) {
  TestServer server;
  RawClient client = server.client();
  client.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
  const Answer head = client.read_head();
  EXPECT_TRUE(head.has("Content-Length: 9\r\n")) << head.head;
  client.get("/b");
  EXPECT_EQ(client.read_answer().body, "GET /b? ") << "nothing of a body lay between";
}

TEST(Protocol, NoContentHasNoLength) {
  TestServer server([](const Request&, const std::shared_ptr<Exchange>& e) { e->respond(204, "", "ignored"); });
  RawClient client = server.client();
  client.get("/");
  const Answer answer = client.read_head();
  EXPECT_EQ(answer.status, 204);
  EXPECT_FALSE(answer.has("Content-Length"));
  client.get("/");
  EXPECT_EQ(client.read_head().status, 204);
}

TEST(Protocol, AClientThatWaitsForContinueIsToldTo) {
  TestServer server;
  RawClient client = server.client();
  client.send("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_EQ(client.read_answer().body, "POST /a? abc");
}

TEST(Protocol, ABodyTooLargeIsRefusedBeforeItIsSent) {
  TestServer server(echo, with<Options>([&](auto& o) { o.body_bytes_max = 10; }));
  RawClient client = server.client();
  client.send("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 413);
  EXPECT_NE(answer.body.find("over 10 bytes"), std::string::npos) << answer.body;
  EXPECT_TRUE(client.sees_close());
}

TEST(Protocol, ChunkedBodiesAreJoinedUpToTheLimit) {
  TestServer server(echo, with<Options>([&](auto& o) { o.body_bytes_max = 10; }));
  const std::string head = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  RawClient client = server.client();
  client.send(head + "6\r\nabcdef\r\n4\r\nghij\r\n0\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, "POST /a? abcdefghij");
  client.send(head + "6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 413);
}

// http.client and others send everything before they read; a reset would take the answer away.
TEST(Protocol, AClientThatSendsAllItsBodyFirstStillReadsTheRefusal) {
  TestServer server(echo, with<Options>([&](auto& o) { o.body_bytes_max = 10; }));
  RawClient client = server.client();
  const std::string body(8 * 1024 * 1024, 'b');
  EXPECT_TRUE(
      client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n"));
  EXPECT_TRUE(client.send(body));
  EXPECT_EQ(client.read_answer().status, 413);
}

TEST(Protocol, HeadersAndTargetsHaveLimits) {
  TestServer server(echo, with<Options>([&](auto& o) { o.header_bytes_max = 16 * 1024; }));
  RawClient many = server.client();
  many.send("GET / HTTP/1.1\r\nHost: x\r\n");
  bool open = true;
  for (int i = 0; i < 2000 && open; ++i) open = many.send("X-Line: another of many short lines\r\n");
  EXPECT_EQ(many.read_answer().status, 431);
  RawClient wide = server.client();
  wide.get("/" + std::string(limits::kTargetBytes + 1, 'a'));
  EXPECT_EQ(wide.read_answer().status, 414);
}

TEST(Protocol, MalformedRequestsAreAnsweredAndClosed) {
  TestServer server;
  RawClient client = server.client();
  client.send("what is this\r\n\r\n");
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 400);
  EXPECT_TRUE(answer.has("Connection: close"));
  EXPECT_TRUE(answer.has("Content-Type: application/json"));
  EXPECT_TRUE(answer.body.starts_with("{\"error\":{\"message\":\"")) << answer.body;
  EXPECT_TRUE(client.sees_close());
}

TEST(Protocol, TheApiShapesTheErrors) {
  Options options;
  options.error_body = [](int status, const Error& error, std::string_view path) {
    return std::to_string(status) + "/" + std::string(to_string(error.code)) + std::string(path);
  };
  options.body_bytes_max = 1;
  TestServer server(echo, options);
  RawClient client = server.client();
  client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, "413/too_large/a");
}

TEST(Protocol, SlowHeadersAndStalledBodiesAreTimedOut) {
  Options options;
  options.header_timeout_ms = 50;
  options.body_timeout_ms = 50;
  TestServer server(echo, options);
  RawClient header = server.client();
  header.send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(header.read_answer().status, 408);
  RawClient body = server.client();
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(body.read_answer().status, 408);
}

// Trickling must not help: the header's time counts from its first byte.
TEST(Protocol, ATrickledHeaderIsTimedOutAllTheSame) {
  TestServer server(echo, with<Options>([&](auto& o) { o.header_timeout_ms = 100; }));
  RawClient client = server.client();
  client.send("GET / HTTP/1.1\r\n");
  std::thread trickle([&] {
    while (client.send("X: y\r\n")) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  EXPECT_EQ(client.read_answer().status, 408);
  client.shutdown_send();
  trickle.join();
}

TEST(Protocol, IdleConnectionsAreClosedWithoutAWord) {
  TestServer server(echo, with<Options>([&](auto& o) { o.idle_timeout_ms = 50; }));
  RawClient fresh = server.client();
  EXPECT_TRUE(fresh.sees_close());
  RawClient used = server.client();
  used.get("/a");
  EXPECT_EQ(used.read_answer().status, 200);
  EXPECT_TRUE(used.sees_close());
}

TEST(Protocol, ConnectionsOverTheLimitAreToldSo) {
  TestServer server(echo, with<Options>([&](auto& o) { o.connections_max = 2; }));
  RawClient first = server.client();
  first.get("/1");
  EXPECT_EQ(first.read_answer().status, 200);
  {
    RawClient second = server.client();
    second.get("/2");
    EXPECT_EQ(second.read_answer().status, 200);
    RawClient third = server.client();
    third.get("/3");
    const Answer refused = third.read_answer();
    EXPECT_EQ(refused.status, 503);
    EXPECT_TRUE(refused.has("Retry-After: "));
  }
  first.get("/1");
  EXPECT_EQ(first.read_answer().status, 200);
  int status = 503;
  while (status == 503) {  // until the server has seen the others leave
    RawClient next = server.client();
    next.get("/4");
    status = next.read_answer().status;
  }
  EXPECT_EQ(status, 200);
}

TEST(Protocol, AHandlerThatThrowsIsA500AndTheServerGoesOn) {
  TestServer server([](const Request& request, const std::shared_ptr<Exchange>& exchange) {
    if (request.path == "/throw") throw std::runtime_error("broken");
    if (request.path == "/odd") throw 7;
    echo(request, exchange);
  });
  RawClient client = server.client();
  for (const char* path : {"/throw", "/odd"}) {
    client.get(path);
    EXPECT_EQ(client.read_answer().status, 500);
  }
  client.get("/fine");
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(Protocol, AnExchangeDroppedWithoutAnAnswerIsA500) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.get("/dropped");
  inbox.wait();
  EXPECT_EQ(client.read_answer().status, 500);
  client.get("/next");
  inbox.wait()->exchange->respond(200, "text/plain", "ok");
  EXPECT_EQ(client.read_answer().body, "ok");
}

TEST(Protocol, OnlyTheFirstAnswerCounts) {
  TestServer server([](const Request&, const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(200, "text/plain", "first");
    exchange->respond(500, "text/plain", "second");
    exchange->start_stream();
    exchange->write("third");
    exchange->finish();
  });
  RawClient client = server.client();
  for (int i = 0; i < 3; ++i) {
    client.get("/");
    EXPECT_EQ(client.read_answer().body, "first");
  }
}

// `printf 'GET ...' | nc -N` ends its sending side and reads on.
TEST(Protocol, AHalfClosedClientGetsItsPlainAnswers) {
  Inbox<Caught> inbox;
  Inbox<std::string> left;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  client.shutdown_send();
  for (int i = 0; i < 2; ++i) {
    auto caught = inbox.wait();
    ASSERT_TRUE(caught);
    caught->exchange->on_close([&left, path = caught->request.path] { left.put(path); });
    EXPECT_EQ(left.wait(), caught->request.path) << "it counts as having left";
    EXPECT_TRUE(caught->exchange->closed());
    caught->exchange->respond(200, "text/plain", caught->request.path);
    EXPECT_EQ(client.read_answer().body, caught->request.path);
  }
  EXPECT_TRUE(client.sees_close());
}

TEST(Protocol, EarlyBytesAreKeptUpToABoundAndThenLeftInTheSocket) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox), with<Options>([&](auto& o) { o.header_bytes_max = 1024; }));
  RawClient client = server.client();
  const std::string body(4 * 1024 * 1024, 'b');
  client.get("/slow");
  const auto slow = inbox.wait();
  ASSERT_TRUE(slow);
  std::thread sender([&] {
    EXPECT_TRUE(client.send("POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
                            "\r\n\r\n" + body));
  });
  slow->exchange->respond(200, "text/plain", "slow");
  EXPECT_EQ(client.read_answer().body, "slow");
  const auto big = inbox.wait();
  sender.join();
  ASSERT_TRUE(big);
  EXPECT_EQ(big->request.body, body);
}

TEST(Protocol, RandomBytesNeverCrashTheServer) {
  Options options;
  options.header_bytes_max = 2048;
  options.body_bytes_max = 2048;
  TestServer server(echo, options);
  std::mt19937 random(7);  // NOLINT: the same bytes each time
  const std::string_view parts[] = {
      "GET / HTTP/1.1\r\nHost: x\r\n",      "POST /x ", "HTTP/1.1\r\n", "\r\n",  "Content-Length: ",
      "Transfer-Encoding: chunked\r\n\r\n", "5\r\n",    "0\r\n",        "abcde", "\xFF"};
  for (int round = 0; round < 300; ++round) {
    RawClient client = server.client();
    std::string bytes;
    const std::size_t size = random() % 400;
    while (bytes.size() < size) {
      if (random() % 3 == 0) {
        bytes += static_cast<char>(random());
      } else {
        bytes += parts[random() % std::size(parts)];
      }
    }
    client.send(bytes);
    if (round % 3 == 0) {
      client.reset();
    } else if (round % 3 == 1) {
      client.shutdown_send();
      client.read_to_end();
    }
  }
  RawClient client = server.client();
  client.get("/alive");
  EXPECT_EQ(client.read_answer().status, 200);
}

}  // namespace
}  // namespace kvern::http::test
