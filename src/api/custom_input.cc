#include "api/custom_input.h"

#include <fmt/format.h>

#include "base/json_text.h"
#include "base/utf8.h"
#include "core/tool.h"

namespace kvern::api {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

void CustomInput::feed(std::string_view piece, std::string& out) {
  std::string text = std::move(held_);
  for (const char c : piece) take(c, text);
  const std::size_t whole = text.size() - utf8_incomplete_suffix(text);
  out.append(text, 0, whole);
  held_ = text.substr(whole);
}

void CustomInput::take(char c, std::string& out) {
  switch (place_) {
    case Place::start:
      if (is_space(c)) return;
      place_ = c == '{' ? Place::member : c == '"' ? Place::text : Place::raw;
      if (place_ == Place::raw) out += c;
      return;
    case Place::raw: out += c; return;
    case Place::member:
      if (c != '"') return;
      key_.clear();
      place_ = Place::key;
      return;
    case Place::key: take_in_string(c, key_); return;
    case Place::colon:
      if (c == ':') place_ = Place::value;
      return;
    case Place::value:
      if (!is_space(c)) begin_value(c);
      return;
    case Place::text: take_in_string(c, out); return;
    case Place::other: take_other(c); return;
    case Place::after: return;
  }
}

void CustomInput::begin_value(char c) {
  if (c == '"' && key_ == kCustomInput) {
    place_ = Place::text;
    return;
  }
  place_ = Place::other;
  nesting_ = {};
  take_other(c);
}

// A value that is not ours, up to the comma or bracket behind it.
void CustomInput::take_other(char c) {
  if (nesting_.outside() && (c == ',' || c == '}')) {
    place_ = c == ',' ? Place::member : Place::after;
  } else {
    nesting_.closes(c);
  }
}

void CustomInput::take_in_string(char c, std::string& out) {
  if (hex_digits_ > 0) return take_hex(c, out);
  if (escaped_) return take_escape(c, out);
  if (c == '\\') {
    escaped_ = true;
    return;
  }
  drop_lone_surrogate(out);
  if (c == '"') return end_string();
  out += c;
}

void CustomInput::take_escape(char c, std::string& out) {
  escaped_ = false;
  if (c == 'u') {
    hex_digits_ = 4;
    unit_ = 0;
    return;
  }
  drop_lone_surrogate(out);
  switch (c) {
    case 'n': out += '\n'; return;
    case 't': out += '\t'; return;
    case 'r': out += '\r'; return;
    case 'b': out += '\b'; return;
    case 'f': out += '\f'; return;
    default: out += c;  // a quote, a backslash, a slash; JSON knows no others
  }
}

void CustomInput::take_hex(char c, std::string& out) {
  const int digit = hex_value(c);
  if (digit < 0) {  // no JSON: what was begun is not a character
    hex_digits_ = 0;
    drop_lone_surrogate(out);
    out += kReplacementCharacter;
    return take_in_string(c, out);
  }
  unit_ = unit_ * 16 + static_cast<std::uint32_t>(digit);
  if (--hex_digits_ == 0) take_unit(unit_, out);
}

void CustomInput::take_unit(std::uint32_t unit, std::string& out) {
  const bool low = unit >= 0xDC00 && unit <= 0xDFFF;
  if (high_ != 0 && low) {
    append_utf8(out, 0x10000 + ((high_ - 0xD800) << 10) + (unit - 0xDC00));
    high_ = 0;
    return;
  }
  drop_lone_surrogate(out);
  if (unit >= 0xD800 && unit <= 0xDBFF) {
    high_ = unit;
  } else if (low) {
    out += kReplacementCharacter;
  } else {
    append_utf8(out, unit);
  }
}

void CustomInput::drop_lone_surrogate(std::string& out) {
  if (high_ == 0) return;
  high_ = 0;
  out += kReplacementCharacter;
}

void CustomInput::end_string() { place_ = place_ == Place::key ? Place::colon : Place::after; }

std::string custom_input(std::string_view arguments) {
  std::string out;
  CustomInput().feed(arguments, out);
  return out;
}

std::string custom_arguments(std::string_view input) {
  std::string out = fmt::format("{{\"{}\": ", kCustomInput);
  append_json_string(out, input);
  out += '}';
  return out;
}

}  // namespace kvern::api
