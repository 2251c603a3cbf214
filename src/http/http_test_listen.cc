#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>

#include "http/client.h"
#include "http/http_test_support.h"

namespace kvern::http::test {
namespace {

namespace fs = std::filesystem;

class Listen : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "kvern-http-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    socket_ = folder_ / "kvern.sock";
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
  std::string socket_;
};

TEST_F(Listen, ABusyPortSaysWhatToDo) {
  TestServer server;
  const auto second = Server::listen(with<Options>([&](auto& o) { o.port = server.port(); }), echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::failed);
  EXPECT_EQ(second.error().field, "--port");
  EXPECT_EQ(second.error().message, "port " + std::to_string(server.port()) +
                                        " on 127.0.0.1 is already in use; is kvern already running? Choose another "
                                        "with --port");
}

TEST_F(Listen, ABadHostNamesItsFlag) {
  for (const char* host : {"", "not an address", "192.0.2.1"}) {
    const auto server = Server::listen(with<Options>([&](auto& o) { o.host = host; }), echo);
    ASSERT_FALSE(server) << host;
    EXPECT_EQ(server.error().field, "--host") << server.error().message;
  }
}

TEST_F(Listen, TheAddressIsTheRealOne) {
  TestServer server;
  EXPECT_NE(server.port(), 0);
  EXPECT_EQ(server->address(), "http://127.0.0.1:" + std::to_string(server.port()));
}

TEST_F(Listen, AUnixSocketIsPrivateAndGoesWithTheServer) {
  {
    TestServer server(echo, with<Options>([&](auto& o) { o.unix_socket = socket_; }));
    EXPECT_EQ(server->address(), "unix:" + socket_);
    struct stat info {};
    ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    const auto answer = fetch(with<ClientRequest>([&](auto& r) { r.address = server->address(); }));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, "GET /? ");
    const auto second = Server::listen(with<Options>([&](auto& o) { o.unix_socket = socket_; }), echo);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("already running"), std::string::npos) << second.error().message;
  }
  EXPECT_FALSE(fs::exists(socket_));
}

// A crashed server leaves its file behind.
TEST_F(Listen, AStaleUnixSocketIsReplacedAndOtherFilesAreNot) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  ASSERT_TRUE(fs::exists(socket_));
  {
    TestServer server(echo, with<Options>([&](auto& o) { o.unix_socket = socket_; }));
    EXPECT_TRUE(fetch(with<ClientRequest>([&](auto& r) { r.address = server->address(); })));
  }
  const std::string file = (folder_ / "notes.txt").string();
  std::fclose(std::fopen(file.c_str(), "w"));
  EXPECT_FALSE(Server::listen(with<Options>([&](auto& o) { o.unix_socket = file; }), echo));
  EXPECT_TRUE(fs::exists(file));
  EXPECT_FALSE(Server::listen(with<Options>([&](auto& o) { o.unix_socket = std::string(200, 'p'); }), echo))
      << "longer than a socket address";
}

TEST_F(Listen, DrainingWaitsForWhatRunsAndTakesNothingNew) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox));
  RawClient idle = server.client();
  idle.get("/warm");
  inbox.wait()->exchange->respond(200, "text/plain", "");
  EXPECT_EQ(idle.read_answer().status, 200);
  RawClient busy = server.client();
  busy.get("/busy");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  server->drain(60'000);
  EXPECT_TRUE(idle.sees_close());
  EXPECT_FALSE(server.client().connected());
  caught->exchange->respond(200, "text/plain", "to the end");
  const Answer answer = busy.read_answer();
  EXPECT_EQ(answer.body, "to the end");
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  busy.close();
  server.join();
}

TEST_F(Listen, WhatStillRunsIsCutAtTheDrainTimeout) {
  Inbox<Caught> inbox;
  Inbox<bool> closed;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.get("/forever");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  caught->exchange->on_close([&] { closed.put(true); });
  caught->exchange->start_stream();
  client.read_head();
  server->drain(50);
  server.join();
  EXPECT_TRUE(closed.wait());
  EXPECT_EQ(client.read_to_end(), "");
  caught->exchange->write("too late");  // harmless
}

TEST_F(Listen, ASecondDrainCutsAtOnce) {
  Inbox<Caught> inbox;
  TestServer server(catch_into(inbox));
  RawClient client = server.client();
  client.get("/forever");
  const auto caught = inbox.wait();
  ASSERT_TRUE(caught);
  server->drain(3'600'000);
  server->drain(3'600'000);
  server.join();
  EXPECT_TRUE(caught->exchange->closed());
}

TEST_F(Listen, AnExchangeMayOutliveItsServer) {
  std::optional<Caught> caught;
  {
    Inbox<Caught> inbox;
    TestServer server(catch_into(inbox));
    RawClient client = server.client();
    client.get("/");
    caught = inbox.wait();
    ASSERT_TRUE(caught);
  }
  EXPECT_TRUE(caught->exchange->closed());
  caught->exchange->on_close([exchange = caught->exchange] {});
  caught->exchange->respond(200, "text/plain", "nobody is there");
}

TEST_F(Listen, SignalsReachTheNetThreadEachTime) {
  Inbox<int> signals;
  TestServer server;
  server->on_signal([&](int signal) { signals.put(signal); });
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(signals.wait(), SIGTERM);
  ::kill(::getpid(), SIGINT);
  EXPECT_EQ(signals.wait(), SIGINT);
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(signals.wait(), SIGTERM);
}

}  // namespace
}  // namespace kvern::http::test
