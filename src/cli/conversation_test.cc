#include "cli/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "base/limits.h"
#include "cli/event_feed.h"
#include "cli/terminal.h"

namespace kvern::cli {
namespace {

using testing::HasSubstr;

Json body_of(const Conversation& conversation, const Conversation::Options& options = {}) {
  return parse_json(conversation.request_body(options)).value();
}

TEST(Conversation, SendsTheWholeHistoryWithTheSystemPromptFirst) {
  Conversation conversation("be brief");
  conversation.ask("one?");
  conversation.answered("1");
  conversation.ask("two?");
  const Json body = body_of(conversation, {"coder", 64, 0.5});
  ASSERT_EQ(body["messages"].size(), 4U);
  EXPECT_EQ(body["messages"][0]["role"], "system");
  EXPECT_EQ(body["messages"][2]["content"], "1");
  EXPECT_EQ(body["messages"][3]["content"], "two?");
  EXPECT_EQ(body["model"], "coder");
  EXPECT_EQ(body["max_tokens"], 64);
  EXPECT_EQ(body["stream"], true);
}

// Two user messages in a row would make many templates refuse the next question.
TEST(Conversation, AQuestionWithoutAnAnswerIsForgotten) {
  Conversation conversation;
  conversation.ask("lost?");
  conversation.answered("");
  conversation.ask("kept?");
  const Json body = body_of(conversation);
  ASSERT_EQ(body["messages"].size(), 1U);
  EXPECT_EQ(body["messages"][0]["content"], "kept?");
}

TEST(Conversation, ResetForgetsTurnsAndKeepsTheSystemPrompt) {
  Conversation conversation("be brief");
  conversation.ask("one?");
  conversation.answered("1");
  conversation.reset();
  EXPECT_EQ(body_of(conversation)["messages"].size(), 1U);
}

TEST(ReadPiece, TextReasoningAndUsageAreFound) {
  EXPECT_EQ(read_piece(R"({"choices":[{"delta":{"content":"hi"}}]})")->text, "hi");
  EXPECT_EQ(read_piece(R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})")->reasoning, "hm");
  EXPECT_TRUE(read_piece("[DONE]")->done);
  const auto last = read_piece(
      R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":5},"kvern":{"ttft_ms":12.5}}})");
  ASSERT_TRUE(last && last->usage);
  EXPECT_EQ(last->usage->prompt_tokens, 9);
  EXPECT_EQ(last->usage->reused_tokens, 5);
  EXPECT_EQ(last->usage->completion_tokens, 3);
  EXPECT_EQ(last->usage->ttft_ms, 12.5);
}

// Other servers send null, leave things out, or send them as another kind.
TEST(ReadPiece, OddChunksAreHarmless) {
  for (const char* chunk :
       {"{}", "[]", "null", R"({"choices":[{}]})", R"({"choices":[{"delta":{"content":null}}],"usage":null})",
        R"({"choices":{"delta":1}})", R"({"usage":{"prompt_tokens":"many"}})", R"({"error":null})"}) {
    const auto piece = read_piece(chunk);
    ASSERT_TRUE(piece) << chunk;
    EXPECT_EQ(piece->text, "") << chunk;
  }
  EXPECT_FALSE(read_piece("{not json"));
}

TEST(ReadPiece, AnErrorInTheStreamIsAnError) {
  EXPECT_EQ(read_piece(R"({"error":{"message":"out of room"}})").error().message, "out of room");
}

TEST(Refused, SaysWhatThePersonCanDo) {
  EXPECT_THAT(refused(401, R"({"error":{"message":"no key"}})").message, HasSubstr("--api-key"));
  EXPECT_EQ(refused(503, "").code, Code::busy);
  EXPECT_THAT(refused(400, "<html>").message, HasSubstr("HTTP 400"));
}

TEST(UsageLine, ShowsReuseAndSpeed) {
  EXPECT_EQ(usage_line({120, 96, 11, 310.0}, 9, 2.0), "prompt=120 reused=96 ttft=310ms 5.0 tok/s");
  EXPECT_EQ(usage_line({120, 0, 1, std::nullopt}, 0.25, 0), "prompt=120 reused=0 ttft=250ms");
}

// A server that is computing a long prompt: it listens and says nothing.
class SilentServer {
 public:
  explicit SilentServer(const std::string& name = "kvern-silent")
      : path_(testing::TempDir() + name + std::to_string(::getpid())), fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    ::unlink(path_.c_str());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
  }
  ~SilentServer() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  std::string address() const { return "unix:" + path_; }
  int accept_one() const { return ::accept(fd_, nullptr, nullptr); }

 private:
  std::string path_;
  int fd_;
};

// One whose answer is many events, said as fast as they are taken.
class ChattyServer {
 public:
  static constexpr std::size_t kEvents = 4'000;
  static constexpr std::size_t kEventBytes = 10'000;

  ~ChattyServer() { finish(); }
  std::string address() const { return listener_.address(); }
  // Until its socket takes no more, as far as a fifth of a second tells.
  std::size_t sent_when_it_is_stuck() const {
    std::size_t before = 0;
    for (int look = 0; look < 100 && (before == 0 || sent_ != before); ++look) {
      before = sent_;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return before;
  }
  // Whether all of it was taken.
  bool finish() {
    if (thread_.joinable()) thread_.join();
    return sent_all_;
  }

 private:
  void answer() {
    const int fd = listener_.accept_one();
    const timeval patience{20, 0};  // only how long a broken test hangs
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    std::array<char, 4096> request{};
    bool taken = ::recv(fd, request.data(), request.size(), 0) > 0 &&
                 send_all(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (std::size_t i = 0; taken && i < kEvents; ++i)
      taken = send_all(fd, "data: " + std::to_string(i) + std::string(kEventBytes, '.') + "\n\n");
    ::close(fd);
    sent_all_ = taken;
  }
  bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      sent_ += static_cast<std::size_t>(sent);
    }
    return true;
  }

  const SilentServer listener_{"kvern-chatty"};
  std::atomic<std::size_t> sent_{0};
  std::atomic<bool> sent_all_{false};
  std::thread thread_{[this] { answer(); }};
};

http::ClientRequest request_to(const std::string& address) {
  http::ClientRequest request;
  request.address = address;
  return request;
}

// Ctrl-C must be heard in that silence: neither waiting nor leaving may depend on the server.
TEST(EventFeed, MayBeLeftWhileTheServerIsSilent) {
  const SilentServer server;
  EventFeed feed(request_to(server.address()), limits::kUnreadEventBytes);
  EventFeed::Event event;
  EXPECT_EQ(feed.next(event, 10), EventFeed::Got::nothing_yet);
}

TEST(EventFeed, EndsWithTheErrorWhenNobodyListens) {
  EventFeed feed(request_to("unix:/nowhere/kvern"), limits::kUnreadEventBytes);
  EventFeed::Event event;
  EXPECT_EQ(feed.next(event, 60'000), EventFeed::Got::end);
  EXPECT_FALSE(feed.ending());
}

// The main thread may stand in a pipe that nobody reads, for hours.
TEST(EventFeed, HoldsNoMoreThanItMayAndLosesNothing) {
  ChattyServer server;
  EventFeed feed(request_to(server.address()), 100'000);
  EXPECT_LT(server.sent_when_it_is_stuck(), ChattyServer::kEvents * ChattyServer::kEventBytes / 4);
  EventFeed::Event event;
  std::size_t events = 0;
  while (feed.next(event, 60'000) == EventFeed::Got::data) {
    ASSERT_EQ(event.data.substr(0, event.data.find('.')), std::to_string(events));
    ++events;
  }
  EXPECT_EQ(events, ChattyServer::kEvents);
  EXPECT_TRUE(server.finish());
}

TEST(EventFeed, ClosesTheConnectionWhenItIsLeftWhileItIsFull) {
  ChattyServer server;
  {
    EventFeed feed(request_to(server.address()), 100'000);
    server.sent_when_it_is_stuck();
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(server.finish());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(15)) << "nothing was closed";
}

// A model's text must not be able to steer the terminal it is shown on.
TEST(Terminal, ControlCharactersOfAnAnswerAreDropped) {
  EXPECT_EQ(without_controls("a\x1b[2Jb\r\n\tc\x7f"), "a[2Jb\n\tc");
  EXPECT_EQ(without_controls("\xC2\x9B"
                             "31m\xC3\xA9"),
            "31m\xC3\xA9");
}

TEST(Terminal, LinesArriveWholeAndTheLastNeedsNoNewline) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const std::string_view text = "one\ntwo";
  ASSERT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  LineReader lines(ends[0]);
  std::string line;
  EXPECT_EQ(lines.next(line), LineReader::Got::line);
  EXPECT_EQ(line, "one");
  EXPECT_EQ(lines.next(line), LineReader::Got::line);
  EXPECT_EQ(line, "two");
  EXPECT_EQ(lines.next(line), LineReader::Got::end);
  ::close(ends[0]);
}

}  // namespace
}  // namespace kvern::cli
