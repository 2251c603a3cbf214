#include <gtest/gtest.h>

#include "http/answer.h"
#include "http/auth.h"
#include "http/request_reader.h"
#include "http/sse.h"
#include "http/target.h"

namespace kvern::http {
namespace {

TEST(Sse, EachLineOfDataHasItsOwnField) {
  std::string out;
  append_sse(out, "delta", "{\"a\":1}");
  EXPECT_EQ(out, "event: delta\ndata: {\"a\":1}\n\n");
  out.clear();
  append_sse(out, "", "one\r\ntwo\rthree\n");
  EXPECT_EQ(out, "data: one\ndata: two\ndata: three\ndata: \n\n");
}

TEST(Auth, EitherHeaderMayCarryAnyOfTheKeys) {
  const std::vector<std::string> keys = {"first", "second"};
  const auto with = [](std::string name, std::string value) {
    Request request;
    request.headers = {{std::move(name), std::move(value)}};
    return request;
  };
  EXPECT_TRUE(authorized(with("authorization", "Bearer second"), keys));
  EXPECT_TRUE(authorized(with("authorization", "bEARER  first"), keys));
  EXPECT_TRUE(authorized(with("x-api-key", "first"), keys));
  EXPECT_FALSE(authorized(with("authorization", "Basic first"), keys));
  EXPECT_FALSE(authorized(with("authorization", "Bearerfirst"), keys));
  EXPECT_FALSE(authorized(with("x-api-key", "firs"), keys));
  EXPECT_FALSE(authorized(with("x-api-key", "firstt"), keys));
  EXPECT_FALSE(authorized({}, keys));
  EXPECT_TRUE(authorized({}, {})) << "no keys: everybody may";
}

// An empty line in a key file must not open the door.
TEST(Auth, AnEmptyKeyMatchesNobody) {
  const std::vector<std::string> keys = {""};
  Request request;
  request.headers = {{"x-api-key", ""}, {"authorization", "Bearer "}};
  EXPECT_FALSE(authorized(request, keys));
}

TEST(Target, PathIsDecodedAndQueryIsRaw) {
  Request request;
  ASSERT_TRUE(set_target(request, "/v1/models/a%2Fb%20c?x=%41&y"));
  EXPECT_EQ(request.path, "/v1/models/a/b c");
  EXPECT_EQ(request.query, "x=%41&y");
  ASSERT_TRUE(set_target(request, "http://host:80?q=/"));
  EXPECT_EQ(request.path, "/");
  EXPECT_EQ(request.query, "q=/");
  ASSERT_TRUE(set_target(request, "HTTP://host/p"));
  EXPECT_EQ(request.path, "/p");
}

TEST(Target, WhatIsNoPathIsRefused) {
  for (const std::string_view bad : {"", "x", "/%", "/%4", "/%4g", "/%00", "?q", "host:80", "ftp://h/p"}) {
    Request request;
    EXPECT_FALSE(set_target(request, bad)) << bad;
  }
}

TEST(AnswerHead, ExtraHeadersCannotBreakTheFraming) {
  std::string out;
  append_head(out, {.status = 200, .content_length = 2},
              {{"X-Good", "yes"}, {"X-Bad", "a\r\nSet-Cookie: b"}, {"Content-Length", "9"}, {"X\n", "c"}});
  EXPECT_NE(out.find("X-Good: yes\r\n"), std::string::npos);
  EXPECT_EQ(out.find("Set-Cookie"), std::string::npos);
  EXPECT_EQ(out.find("Content-Length: 9"), std::string::npos);
  EXPECT_TRUE(out.ends_with("\r\n\r\n"));
}

// Reads one request shown in pieces of the given size. 200 stands for "done".
struct ReadResult {
  int status = 0;
  Request request;
  std::string rest;
};

ReadResult read_in_pieces(std::string_view bytes, std::size_t piece) {
  RequestReader reader(512, 64);
  std::string input;
  for (std::size_t at = 0; at < bytes.size();) {
    input += bytes.substr(at, piece);
    at = std::min(bytes.size(), at + piece);
    while (!input.empty()) {
      const auto step = reader.feed(input);
      if (!step) return {step.error().status, {}, {}};
      input.erase(0, step->used);
      if (step->progress == RequestReader::Progress::done)
        return {200, reader.take(), input + std::string(bytes.substr(at))};
      if (step->progress == RequestReader::Progress::more) break;
    }
  }
  return {};
}

TEST(RequestReader, ARequestDoesNotDependOnHowItWasSplit) {
  const std::string_view chunked =
      "POST /a?b HTTP/1.1\r\nHost: x\r\nX-Mixed: Case\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\nGET ";
  const std::string_view sized = "POST /a?b HTTP/1.1\r\nHost: x\r\nX-Mixed: Case\r\nContent-Length: 5\r\n\r\nabcdeGET ";
  for (const std::string_view bytes : {chunked, sized}) {
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
      const ReadResult read = read_in_pieces(bytes, piece);
      ASSERT_EQ(read.status, 200) << piece;
      EXPECT_EQ(read.request.body, "abcde") << piece;
      EXPECT_EQ(read.request.path, "/a");
      EXPECT_EQ(read.request.query, "b");
      EXPECT_EQ(read.request.header("x-mixed"), "Case");
      EXPECT_EQ(read.request.header("trailer"), "") << "trailers are not headers";
      EXPECT_EQ(read.rest, "GET ") << piece;
    }
  }
}

TEST(RequestReader, RefusalsDoNotDependOnHowTheBytesWereSplit) {
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string many_lines = [] {
    std::string lines;
    for (int i = 0; i < 100; ++i) lines += "X-Line: short\r\n";
    return lines;
  }();
  const std::pair<std::string, int> cases[] = {
      {"GARBAGE\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(600, 'a') + "\r\n\r\n", 431},
      {"GET / HTTP/1.1\r\nHost: x\r\n" + many_lines + "\r\n", 431},
      {post + "Content-Length: 65\r\n\r\n", 413},
      {post + "Content-Length: x\r\n\r\n", 400},
      {post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {post + "Transfer-Encoding: chunked\r\n\r\n41\r\n", 413},
      {post + "Transfer-Encoding: chunked\r\n\r\n20\r\n" + std::string(32, 'b') + "\r\n21\r\n", 413},
      {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(1000, 'e'), 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + many_lines, 400},
      {post + "Expect: tea\r\n\r\n", 417},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
  };
  for (const auto& [bytes, status] : cases) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{100}, bytes.size()})
      EXPECT_EQ(read_in_pieces(bytes, piece).status, status) << bytes << " in pieces of " << piece;
  }
}

}  // namespace
}  // namespace kvern::http
