// The requests of /admin/cache and /kvern: bytes -> values. What answers them lives in app. Pure; thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/result.h"

namespace kvern::api {

// A web page in a browser on this machine can post, unasked, whatever needs no JSON content type.
// Code::invalid unless content_type is JSON's.
Status check_json(std::string_view content_type);

// "limit=20&kind=block"; other names are ignored, as in bodies.
struct RecordsQuery {
  std::int32_t limit = 100;
  std::string kind;  // block, tail, snapshot, turn; empty: all
};
Result<RecordsQuery> parse_records_query(std::string_view query);

// "version=1", or nothing: the format that is spoken, or Code::invalid. Other names are ignored.
Status check_watch_query(std::string_view query, int spoken_version);

// {"bytes_max": 10737418240}
Result<std::uint64_t> parse_prune_request(std::string_view body);

// {"id": "64 hex digits", "kind": "block"}
struct RecordName {
  Sha256 key{};
  std::string kind;
};
Result<RecordName> parse_record_name(std::string_view body);

// {"path": "/absolute/file"}: on the server's machine.
Result<std::string> parse_file_request(std::string_view body);

// 64 hex digits of either case.
Result<Sha256> parse_key(std::string_view text, std::string field);

}  // namespace kvern::api
