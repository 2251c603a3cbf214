#include "chat/turns/json_value.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/json.h"
#include "base/json_text.h"
#include "base/limits.h"

namespace kvern::chat {
namespace {

using Kind = JsonValue::Kind;

// More digits of an exponent than any number in use has.
constexpr std::size_t kExponentDigits = 9;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Moves the digits text begins with to out.
std::size_t take_digits(std::string_view& text, std::string& out) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  out += text.substr(0, count);
  text.remove_prefix(count);
  return count;
}

// Makes the members ascend by key; false when a key is there twice.
bool sort_members(JsonValue& object) {
  std::vector<std::size_t> order(object.keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return object.keys[a] < object.keys[b]; });
  std::vector<std::string> keys;
  std::vector<JsonValue> items;
  for (const std::size_t i : order) {
    keys.push_back(std::move(object.keys[i]));
    items.push_back(std::move(object.items[i]));
  }
  object.keys = std::move(keys);
  object.items = std::move(items);
  return std::adjacent_find(object.keys.begin(), object.keys.end()) == object.keys.end();
}

class Builder final : public nlohmann::json_sax<Json> {
 public:
  JsonValue take() { return std::move(root_); }

  bool null() override { return add({}); }
  bool boolean(bool value) override { return add({Kind::boolean, value ? "true" : "false", {}, {}}); }
  bool number_integer(std::int64_t value) override { return number(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) override { return number(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return number(text); }
  bool string(std::string& value) override { return add({Kind::string, std::move(value), {}, {}}); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Kind::object); }
  bool start_array(std::size_t) override { return open(Kind::array); }
  bool key(std::string& name) override {
    open_.back().keys.push_back(std::move(name));
    return true;
  }
  bool end_object() override { return sort_members(open_.back()) && close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool number(std::string_view text) {
    std::optional<std::string> canonical = canonical_number(text);
    return canonical && add({Kind::number, std::move(*canonical), {}, {}});
  }

  bool add(JsonValue value) {
    (open_.empty() ? root_ : open_.back().items.emplace_back()) = std::move(value);
    return true;
  }

  bool open(Kind kind) {
    open_.push_back({kind, {}, {}, {}});
    return open_.size() <= limits::kJsonDepth;
  }

  bool close() {
    JsonValue value = std::move(open_.back());
    open_.pop_back();
    return add(std::move(value));
  }

  JsonValue root_;
  std::vector<JsonValue> open_;
};

void append_canonical(std::string& out, const JsonValue& value) {
  switch (value.kind) {
    case Kind::null: out += "null"; return;
    case Kind::boolean:
    case Kind::number: out += value.text; return;
    case Kind::string: append_json_string(out, value.text); return;
    case Kind::array:
    case Kind::object: break;
  }
  const bool object = value.kind == Kind::object;
  out += object ? '{' : '[';
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    if (i > 0) out += ',';
    if (object) {
      append_json_string(out, value.keys[i]);
      out += ':';
    }
    append_canonical(out, value.items[i]);
  }
  out += object ? '}' : ']';
}

}  // namespace

std::optional<std::string> canonical_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  std::string digits;
  const bool leading_zero = text.starts_with('0');
  const std::size_t whole = take_digits(text, digits);
  if (whole == 0 || (leading_zero && whole > 1)) return std::nullopt;
  std::int64_t exponent = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::size_t fraction = take_digits(text, digits);
    if (fraction == 0) return std::nullopt;
    exponent -= static_cast<std::int64_t>(fraction);
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    const bool down = text.starts_with('-');
    if (down || text.starts_with('+')) text.remove_prefix(1);
    std::string power;
    const std::size_t count = take_digits(text, power);
    if (count == 0 || count > kExponentDigits) return std::nullopt;
    exponent += (down ? -1 : 1) * std::stoll(power);
  }
  if (!text.empty()) return std::nullopt;
  const std::size_t first = digits.find_first_not_of('0');
  if (first == std::string::npos) return "0";
  const std::size_t last = digits.find_last_not_of('0');
  exponent += static_cast<std::int64_t>(digits.size() - 1 - last);
  return (negative ? "-" : "") + digits.substr(first, last + 1 - first) + "e" + std::to_string(exponent);
}

std::optional<JsonValue> read_json_value(std::string_view text) {
  try {
    Builder builder;
    if (!Json::sax_parse(text, &builder)) return std::nullopt;
    return builder.take();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::string canonical_json(const JsonValue& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

}  // namespace kvern::chat
