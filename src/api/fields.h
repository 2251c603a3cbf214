// Typed reading of JSON objects, with errors that name the exact path.
//
// A Fields is a view of one object and must not outlive its document. A null field is an absent
// one. The readers leave `out` as it is when the field is absent, so defaults live where the
// values do. All errors are Code::invalid unless said otherwise. Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace kvern::api {

struct NumberRange {
  float least;
  float most;
  bool above_least = false;  // least itself is not allowed
};

struct IntegerRange {
  std::int64_t least;
  std::int64_t most;
};

inline constexpr IntegerRange kTokenIds{0, INT32_MAX};

// "expected a list, found a string", about path.
tl::unexpected<Error> mismatch(std::string path, std::string_view expected, const Json& found);

// A client's text inside a message: in quotes, cut when long.
std::string shown(std::string_view text);

std::string indexed(std::string_view path, std::size_t index);  // "messages[2]"

std::optional<std::int64_t> whole_number(const Json& value);  // 3 and 3.0, not 3.5 or "3"
Result<std::int64_t> to_integer(const Json& value, IntegerRange range, std::string path);
Result<float> to_number(const Json& value, NumberRange range, std::string path);

class Fields {
 public:
  static Result<Fields> of(const Json& value, std::string path);  // fails unless value is an object

  // Null when absent.
  const Json* find(std::string_view name) const;
  std::string path_of(std::string_view name) const;  // "messages[2].content"
  const std::string& path() const { return path_; }
  const Json& json() const { return *object_; }

  Status text(std::string_view name, std::string& out) const;
  Status flag(std::string_view name, bool& out) const;
  Status number(std::string_view name, NumberRange range, float& out) const;
  Status integer(std::string_view name, IntegerRange range, std::int32_t& out) const;

  Result<std::string> required_text(std::string_view name) const;
  Result<Fields> required_object(std::string_view name) const;

  Result<std::optional<Fields>> object(std::string_view name) const;
  Result<const Json*> list(std::string_view name) const;  // null when absent

  tl::unexpected<Error> missing(std::string_view name, std::string_view expected) const;

 private:
  Fields(const Json& object, std::string path) : object_(&object), path_(std::move(path)) {}

  const Json* object_;
  std::string path_;  // "" for the body itself
};

// As parse_json(), but half a surrogate pair is U+FFFD: an agent that cut a tool's output inside an emoji would
// fail at every later turn.
Result<Json> parse_mended(std::string_view text);

// The whole body; fails unless it is a JSON object.
Result<Json> parse_body(std::string_view body);

}  // namespace kvern::api
