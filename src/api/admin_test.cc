#include "api/admin.h"

#include <gtest/gtest.h>

namespace kvern::api {
namespace {

const std::string kHex = "00ff" + std::string(60, 'a');

template <typename T>
std::string error_of(const Result<T>& result) {
  return result ? "no error" : result.error().field + ": " + result.error().message;
}

TEST(AdminRequests, ARecordsQueryHasDefaultsAndIgnoresOtherNames) {
  const auto none = parse_records_query("");
  ASSERT_TRUE(none);
  EXPECT_EQ(none->limit, 100);
  EXPECT_EQ(none->kind, "");
  const auto some = parse_records_query("kind=tail&colour=red&limit=7&");
  ASSERT_TRUE(some);
  EXPECT_EQ(some->limit, 7);
  EXPECT_EQ(some->kind, "tail");
}

TEST(AdminRequests, AWrongQueryNamesItsPart) {
  for (const std::string limit : {"0", "-1", "10001", "ten", "", "99999999999999999999", "1x"})
    EXPECT_EQ(error_of(parse_records_query("limit=" + limit)),
              "limit: expected a whole number from 1 to 10000, found \"" + limit + "\"");
  EXPECT_EQ(error_of(parse_records_query("limit")), "limit: expected a whole number from 1 to 10000, found \"\"");
  EXPECT_TRUE(parse_records_query("limit=10000"));
  EXPECT_EQ(error_of(parse_records_query("kind=Block")),
            "kind: expected block, tail, snapshot or turn, found \"Block\"");
}

TEST(AdminRequests, AWatcherMaySayWhichFormatItReads) {
  for (const char* query : {"", "version=1", "_=123&version=1&x"}) EXPECT_TRUE(check_watch_query(query, 1)) << query;
  EXPECT_EQ(error_of(check_watch_query("version=2", 1)),
            "version: this server speaks version 1 of its events, not \"2\"");
  EXPECT_FALSE(check_watch_query("a&version", 1));
}

TEST(AdminRequests, PruneWantsTheBytesThatMayStay) {
  EXPECT_EQ(parse_prune_request(R"({"bytes_max": 10737418240})"), std::uint64_t{10} << 30);
  EXPECT_EQ(parse_prune_request(R"({"bytes_max": 0})"), 0U);
  EXPECT_EQ(error_of(parse_prune_request("{}")).substr(0, 9), "bytes_max");
  EXPECT_EQ(error_of(parse_prune_request(R"({"bytes_max": -1})")).substr(0, 9), "bytes_max");
  EXPECT_EQ(error_of(parse_prune_request(R"({"bytes_max": "10G"})")).substr(0, 9), "bytes_max");
}

TEST(AdminRequests, ARecordIsNamedByItsWholeIdAndItsKind) {
  const auto name = parse_record_name(R"({"id": ")" + kHex + R"(", "kind": "snapshot"})");
  ASSERT_TRUE(name);
  EXPECT_EQ(to_hex(name->key), kHex);
  EXPECT_EQ(name->kind, "snapshot");
  EXPECT_EQ(error_of(parse_record_name(R"({"id": "00ff", "kind": "block"})")),
            "id: expected 64 hex digits, found \"00ff\"");
  EXPECT_EQ(error_of(parse_record_name(R"({"id": ")" + kHex + R"("})")).substr(0, 4), "kind");
  EXPECT_EQ(error_of(parse_record_name(R"({"id": 5, "kind": "block"})")).substr(0, 2), "id");
  std::string upper = kHex;
  upper[2] = 'F';
  EXPECT_EQ(parse_key(upper, "id"), name->key);
  upper[2] = 'G';
  EXPECT_FALSE(parse_key(upper, "id"));
}

TEST(AdminRequests, FilesAreNamedByAbsolutePaths) {
  EXPECT_EQ(parse_file_request(R"({"path": "/var/a.kvern"})"), "/var/a.kvern");
  EXPECT_EQ(error_of(parse_file_request(R"({"path": "a.kvern"})")),
            "path: expected an absolute path on the server's machine, found \"a.kvern\"");
  EXPECT_EQ(error_of(parse_file_request(R"({"path": "/a\u0000b"})")), "path: a path cannot hold a NUL character");
  EXPECT_EQ(error_of(parse_file_request("{}")).substr(0, 4), "path");
}

// Forms and fetch() without asking first can send text/plain, and nothing that is JSON by its type.
TEST(AdminRequests, OnlyWhatIsCalledJsonIsTaken) {
  EXPECT_TRUE(check_json("application/json"));
  EXPECT_TRUE(check_json("Application/JSON; charset=utf-8"));
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "text/plain; application/json"})
    EXPECT_FALSE(check_json(type)) << type;
}

}  // namespace
}  // namespace kvern::api
