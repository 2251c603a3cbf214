#include "http/client.h"

#include <algorithm>

#include "http/http_test_support.h"

namespace kvern::http::test {
namespace {

ClientRequest to(std::string address, std::string target = "/") {
  ClientRequest request;
  request.address = std::move(address);
  request.target = std::move(target);
  return request;
}

ClientRequest post(std::string address, std::string body) {
  ClientRequest request = to(std::move(address));
  request.method = "POST";
  request.headers = {{"X-A", "b"}};
  request.body = std::move(body);
  return request;
}

TEST(Client, FetchesPlainAndChunkedAnswers) {
  TestServer server([](const Request& request, const std::shared_ptr<Exchange>& exchange) {
    if (request.path != "/stream") return exchange->respond(201, "text/plain", request.body, {{"X-Name", "Value"}});
    exchange->start_stream();
    exchange->write(std::string(100'000, 'a'));
    exchange->write("end");
    exchange->finish();
  });
  const auto plain = fetch(post(server->address(), "body"));
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->status, 201);
  EXPECT_EQ(plain->body, "body");
  EXPECT_NE(
      std::find(plain->headers.begin(), plain->headers.end(), std::pair<std::string, std::string>("x-name", "Value")),
      plain->headers.end());
  const auto chunked = fetch(to(server->address() + "/", "/stream"));
  ASSERT_TRUE(chunked) << chunked.error().message;
  EXPECT_EQ(chunked->body, std::string(100'000, 'a') + "end");
}

TEST(Client, EventsArriveAsTheyAreSent) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox), with<Options>([&](auto& o) { o.ping_interval_ms = 10; }));
  std::vector<std::string> seen;
  Inbox<bool> got_one;
  std::thread reader([&] {
    const auto answer = fetch_events(to(server->address()), [&](std::string_view event, std::string_view data) {
      seen.push_back(std::string(event) + "|" + std::string(data));
      got_one.put(true);
      return true;
    });
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
  });
  const auto caught = inbox.wait();
  caught->exchange->start_stream();
  caught->exchange->write("event: a\ndata: 1\ndata: 2\n\n");
  EXPECT_TRUE(got_one.wait()) << "before the stream ended";
  caught->exchange->write("data: 3\r\n\r\n: a comment\n\nevent: none\n\ndata\n\n");
  caught->exchange->finish();
  reader.join();
  EXPECT_EQ(seen, (std::vector<std::string>{"a|1\n2", "|3", "|"}));
}

TEST(Client, ACallbackMayStopTheStream) {
  Inbox<bool> closed;
  TestServer server([&](const Request&, const std::shared_ptr<Exchange>& exchange) {
    exchange->on_close([&closed, exchange] { closed.put(true); });
    exchange->start_stream();
    exchange->write("data: 1\n\ndata: 2\n\n");
  });
  int events = 0;
  const auto answer = fetch_events(to(server->address()), [&](std::string_view, std::string_view) {
    ++events;
    return false;
  });
  EXPECT_TRUE(answer);
  EXPECT_EQ(events, 1);
  EXPECT_TRUE(closed.wait());
}

TEST(Client, AnErrorAnswerComesWithItsBodyAndNoEvents) {
  TestServer server([](const Request&, const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(401, "application/json", "data: no key\n\n");
  });
  const auto answer = fetch_events(to(server->address()), [](std::string_view, std::string_view) {
    ADD_FAILURE() << "no event in an error";
    return true;
  });
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 401);
  EXPECT_EQ(answer->body, "data: no key\n\n");
}

TEST(Client, NobodyListeningSaysHowToStartTheServer) {
  std::string address;
  {
    TestServer server;
    address = server->address();
  }
  const auto tcp = fetch(to(address));
  ASSERT_FALSE(tcp);
  EXPECT_EQ(tcp.error().message, "nobody listens at " + address + "; start the server with `kvern serve`");
  const auto unix_socket = fetch(to("unix:/nonexistent/kvern.sock"));
  ASSERT_FALSE(unix_socket);
  EXPECT_EQ(unix_socket.error().message,
            "nobody listens at unix:/nonexistent/kvern.sock; start the server with `kvern serve`");
}

TEST(Client, AddressesThatAreNoneAreRefused) {
  for (const char* address : {"", "localhost:80", "https://x", "http://", "http://h:p", "http://[::1", "unix:"}) {
    const auto answer = fetch(to(address));
    ASSERT_FALSE(answer) << address;
    EXPECT_EQ(answer.error().code, Code::invalid) << address;
  }
}

TEST(Client, ASilentServerIsGivenUpOn) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox));
  ClientRequest request = to(server->address());
  request.timeout_ms = 50;
  const auto answer = fetch(request);
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("no progress"), std::string::npos) << answer.error().message;
}

TEST(Client, AnAnswerCutShortIsAnError) {
  TestServer server([](const Request&, const std::shared_ptr<Exchange>& exchange) {
    exchange->start_stream();
    exchange->write("data: 1\n\n");
  });
  EXPECT_FALSE(fetch(to(server->address())));
}

TEST(Client, AnEarlyRefusalIsReadAlthoughTheBodyWasNotTaken) {
  TestServer server(echo, with<Options>([&](auto& o) { o.body_bytes_max = 10; }));
  const auto answer = fetch(post(server->address(), std::string(1024 * 1024, 'b')));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 413);
}

}  // namespace
}  // namespace kvern::http::test
