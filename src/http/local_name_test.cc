#include "http/local_name.h"

#include <gtest/gtest.h>

namespace kvern::http {
namespace {

Request from(Headers headers, std::string peer = "127.0.0.1:5") {
  Request request;
  request.headers = std::move(headers);
  request.peer = std::move(peer);
  return request;
}

TEST(LocalName, AddressesAndNamesNobodyCanOwnAreLocal) {
  for (const char* host : {"", "localhost", "LOCALHOST:8080", "127.0.0.1:8080", "192.168.1.5", "[::1]:8080", "[::1]",
                           "box", "kvern.localhost", "box.local:80", "host.docker.internal", "localhost."})
    EXPECT_TRUE(is_local_name(host)) << host;
  for (const char* host : {"evil.example", "evil.example:8080", "localhost.evil.example", "1.2.3.4.evil.example",
                           ".local", "evillocalhost.com"})
    EXPECT_FALSE(is_local_name(host)) << host;
}

TEST(LocalName, APageOfAnotherSiteIsNotFromHereUnderAnyName) {
  EXPECT_TRUE(comes_from_here(from({{"host", "127.0.0.1:8080"}})));
  EXPECT_TRUE(comes_from_here(from({{"host", "localhost:8080"}, {"origin", "http://localhost:3000"}})));
  EXPECT_TRUE(comes_from_here(from({{"host", "localhost:8080"}, {"origin", "vscode-webview://abc"}})));
  EXPECT_FALSE(comes_from_here(from({{"host", "evil.example"}})));
  EXPECT_FALSE(comes_from_here(from({{"host", "localhost:8080"}, {"origin", "https://evil.example"}})));
  EXPECT_FALSE(comes_from_here(from({{"host", "localhost:8080"}, {"origin", "null"}})));
  EXPECT_TRUE(comes_from_here(from({{"host", "evil.example"}}, "unix")));
}

}  // namespace
}  // namespace kvern::http
