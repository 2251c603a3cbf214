#include "api/fields.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/utf8.h"

namespace kvern::api {
namespace {

std::string_view kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::boolean: return "a boolean";
    case Json::value_t::string: return "a string";
    case Json::value_t::array: return "a list";
    case Json::value_t::object: return "an object";
    default: return "a number";
  }
}

std::string range_text(NumberRange range) {
  return fmt::format("a number {} {} and at most {}", range.above_least ? "above" : "of at least", range.least,
                     range.most);
}

std::string range_text(IntegerRange range) {
  return fmt::format("a whole number from {} to {}", range.least, range.most);
}

tl::unexpected<Error> out_of_range(std::string path, const std::string& expected, const Json& found) {
  return fail(Code::invalid, fmt::format("expected {}, found {}", expected, dump_json(found)), std::move(path));
}

}  // namespace

tl::unexpected<Error> mismatch(std::string path, std::string_view expected, const Json& found) {
  return fail(Code::invalid, fmt::format("expected {}, found {}", expected, kind_of(found)), std::move(path));
}

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 60;
  if (text.size() <= kShown) return fmt::format("\"{}\"", text);
  const std::string_view cut = text.substr(0, kShown);
  return fmt::format("\"{}...\"", cut.substr(0, cut.size() - utf8_incomplete_suffix(cut)));
}

std::string indexed(std::string_view path, std::size_t index) { return fmt::format("{}[{}]", path, index); }

std::optional<std::int64_t> whole_number(const Json& value) {
  if (const auto* large = value.get_ptr<const Json::number_unsigned_t*>()) {
    if (*large > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<std::int64_t>(*large);
  }
  if (const auto* integer = value.get_ptr<const Json::number_integer_t*>()) return *integer;
  if (const auto* real = value.get_ptr<const Json::number_float_t*>()) {
    constexpr double kExact = 9007199254740992.0;  // beyond 2^53 a double no longer names one integer
    if (std::abs(*real) <= kExact && std::trunc(*real) == *real) return static_cast<std::int64_t>(*real);
  }
  return std::nullopt;
}

Result<std::int64_t> to_integer(const Json& value, IntegerRange range, std::string path) {
  if (!value.is_number()) return mismatch(std::move(path), "a whole number", value);
  const std::optional<std::int64_t> number = whole_number(value);
  if (!number || *number < range.least || *number > range.most)
    return out_of_range(std::move(path), range_text(range), value);
  return *number;
}

Result<float> to_number(const Json& value, NumberRange range, std::string path) {
  if (!value.is_number()) return mismatch(std::move(path), "a number", value);
  // Compared as the float it becomes: a tiny positive double must not slip through as zero. One too
  // large for a float is refused before it is converted.
  const double wide = value.get<double>();
  if (std::abs(wide) > 1e30) return out_of_range(std::move(path), range_text(range), value);
  const auto number = static_cast<float>(wide);
  const bool high_enough = range.above_least ? number > range.least : number >= range.least;
  if (!high_enough || number > range.most) return out_of_range(std::move(path), range_text(range), value);
  return number;
}

Result<Fields> Fields::of(const Json& value, std::string path) {
  if (!value.is_object()) return mismatch(std::move(path), "an object", value);
  return Fields(value, std::move(path));
}

const Json* Fields::find(std::string_view name) const {
  const auto found = object_->find(name);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

std::string Fields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

Status Fields::text(std::string_view name, std::string& out) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  const auto* text = value->get_ptr<const std::string*>();
  if (text == nullptr) return mismatch(path_of(name), "a string", *value);
  out = *text;
  return {};
}

Status Fields::flag(std::string_view name, bool& out) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_boolean()) return mismatch(path_of(name), "true or false", *value);
  out = value->get<bool>();
  return {};
}

Status Fields::number(std::string_view name, NumberRange range, float& out) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  TRY(out, to_number(*value, range, path_of(name)));
  return {};
}

Status Fields::integer(std::string_view name, IntegerRange range, std::int32_t& out) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  TRY(const std::int64_t number, to_integer(*value, range, path_of(name)));
  out = static_cast<std::int32_t>(number);
  return {};
}

Result<std::string> Fields::required_text(std::string_view name) const {
  if (find(name) == nullptr) return missing(name, "a string");
  std::string out;
  TRY_OK(text(name, out));
  return out;
}

Result<Fields> Fields::required_object(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return missing(name, "an object");
  return of(*value, path_of(name));
}

Result<std::optional<Fields>> Fields::object(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::optional<Fields>();
  TRY(Fields fields, of(*value, path_of(name)));
  return std::optional<Fields>(std::move(fields));
}

Result<const Json*> Fields::list(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_array()) return mismatch(path_of(name), "a list", *value);
  return value;
}

tl::unexpected<Error> Fields::missing(std::string_view name, std::string_view expected) const {
  return fail(Code::invalid, fmt::format("expected {}, found nothing", expected), path_of(name));
}

Result<Json> parse_mended(std::string_view text) {
  Result<Json> parsed = parse_json(text);
  if (parsed) return parsed;
  const auto mended = without_lone_surrogates(text);
  return mended ? parse_json(*mended) : parsed;
}

Result<Json> parse_body(std::string_view body) {
  Result<Json> parsed = parse_mended(body);
  if (!parsed)
    return fail(Code::invalid, fmt::format("the request body is not valid JSON: {}", parsed.error().message));
  if (!parsed->is_object())
    return fail(Code::invalid, fmt::format("the request body must be a JSON object, found {}", kind_of(*parsed)));
  return parsed;
}

}  // namespace kvern::api
