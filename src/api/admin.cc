#include "api/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/fields.h"

namespace kvern::api {
namespace {

constexpr std::array<std::string_view, 4> kKinds = {"block", "tail", "snapshot", "turn"};
constexpr std::int64_t kRecordsMax = 10'000;

Status check_kind(std::string_view kind) {
  if (std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end()) return {};
  return fail(Code::invalid, fmt::format("expected block, tail, snapshot or turn, found {}", shown(kind)), "kind");
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') return static_cast<unsigned>(lower - 'a') + 10;
  return std::nullopt;
}

struct Pair {
  std::string_view name;
  std::string_view value;
};

// The first of "name=value&...".
Pair take_pair(std::string_view& query) {
  const std::string_view pair = query.substr(0, query.find('&'));
  query.remove_prefix(std::min(pair.size() + 1, query.size()));
  const std::size_t equals = std::min(pair.find('='), pair.size());
  return {pair.substr(0, equals), equals < pair.size() ? pair.substr(equals + 1) : std::string_view()};
}

Result<std::int32_t> parse_limit(std::string_view text) {
  std::int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || number > kRecordsMax) number = kRecordsMax + 1;
    if (number <= kRecordsMax) number = number * 10 + (c - '0');
  }
  if (text.empty() || number < 1 || number > kRecordsMax)
    return fail(Code::invalid, fmt::format("expected a whole number from 1 to {}, found {}", kRecordsMax, shown(text)),
                "limit");
  return static_cast<std::int32_t>(number);
}

}  // namespace

Status check_json(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (type.ends_with(' ')) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  if (type == "application/json") return {};
  return fail(Code::invalid, "send this request with 'Content-Type: application/json': no web page can do that unasked",
              "Content-Type");
}

Result<RecordsQuery> parse_records_query(std::string_view query) {
  RecordsQuery wanted;
  while (!query.empty()) {
    const auto [name, value] = take_pair(query);
    if (name == "limit") {
      TRY(wanted.limit, parse_limit(value));
    } else if (name == "kind") {
      TRY_OK(check_kind(value));
      wanted.kind = value;
    }
  }
  return wanted;
}

Status check_watch_query(std::string_view query, int spoken_version) {
  const std::string spoken = std::to_string(spoken_version);
  while (!query.empty()) {
    const auto [name, value] = take_pair(query);
    if (name == "version" && value != spoken)
      return fail(Code::invalid,
                  fmt::format("this server speaks version {} of its events, not {}", spoken, shown(value)), "version");
  }
  return {};
}

Result<std::uint64_t> parse_prune_request(std::string_view body) {
  TRY(const Json document, parse_body(body));
  TRY(const Fields fields, Fields::of(document, ""));
  const Json* bytes = fields.find("bytes_max");
  if (bytes == nullptr) return fields.missing("bytes_max", "the bytes that may stay");
  TRY(const std::int64_t number, to_integer(*bytes, {0, INT64_MAX}, fields.path_of("bytes_max")));
  return static_cast<std::uint64_t>(number);
}

Result<RecordName> parse_record_name(std::string_view body) {
  TRY(const Json document, parse_body(body));
  TRY(const Fields fields, Fields::of(document, ""));
  RecordName name;
  TRY(const std::string id, fields.required_text("id"));
  TRY(name.key, parse_key(id, "id"));
  TRY(name.kind, fields.required_text("kind"));
  TRY_OK(check_kind(name.kind));
  return name;
}

Result<std::string> parse_file_request(std::string_view body) {
  TRY(const Json document, parse_body(body));
  TRY(const Fields fields, Fields::of(document, ""));
  TRY(std::string path, fields.required_text("path"));
  if (!path.starts_with('/'))
    return fail(Code::invalid, fmt::format("expected an absolute path on the server's machine, found {}", shown(path)),
                "path");
  if (path.find('\0') != std::string::npos) return fail(Code::invalid, "a path cannot hold a NUL character", "path");
  return path;
}

Result<Sha256> parse_key(std::string_view text, std::string field) {
  Sha256 key{};
  const auto wrong = [&] {
    return fail(Code::invalid, fmt::format("expected {} hex digits, found {}", 2 * key.size(), shown(text)), field);
  };
  if (text.size() != 2 * key.size()) return wrong();
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto high = hex_digit(text[2 * i]);
    const auto low = hex_digit(text[2 * i + 1]);
    if (!high || !low) return wrong();
    key[i] = static_cast<std::uint8_t>(*high << 4U | *low);
  }
  return key;
}

}  // namespace kvern::api
