#include "chat/dialect/arguments/value_text.h"

#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/json_text.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The number of hexadecimal digits behind \x, \u and \U.
std::size_t digits_of(char c) { return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0; }

// A character by its number, as JSON escapes it; empty when there is no such character.
std::string json_escape(std::string_view hex) {
  const unsigned long code = std::stoul(std::string(hex), nullptr, 16);
  if (code > 0x10FFFF) return {};
  if (code <= 0xFFFF) return fmt::format("\\u{:04x}", code);
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF));
}

// The escape behind text[at - 1], a backslash, and where it ends. What Python does not know stays as it is.
std::size_t append_escape(std::string& out, std::string_view text, std::size_t at) {
  const char kind = text[at];
  const std::size_t digits = digits_of(kind);
  const std::string_view hex = text.substr(at + 1, digits);
  if (digits > 0 && hex.size() == digits && hex.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos) {
    out += json_escape(hex);
    return at + 1 + digits;
  }
  constexpr std::string_view kKnown = "ntr\\'\"\n";
  constexpr std::string_view kMeant = "\n\t\r\\'\"";
  const std::size_t known = kKnown.find(kind);
  if (known < kMeant.size()) append_json_escaped(out, kMeant.substr(known, 1));
  if (known != std::string_view::npos) return at + 1;
  append_json_escaped(out, "\\");
  return at;
}

// Appends the string that begins at text[at] and returns where it ends; npos when it does not.
std::size_t append_string(std::string& out, std::string_view text, std::size_t at) {
  const char stops[] = {text[at], '\\', '\0'};
  out += '"';
  for (++at;;) {
    const std::size_t stop = text.find_first_of(stops, at);
    if (stop == std::string_view::npos || stop + 1 == text.size()) {
      if (stop == std::string_view::npos || text[stop] == '\\') return std::string_view::npos;
    }
    append_json_escaped(out, text.substr(at, stop - at));
    if (text[stop] != '\\') {
      out += '"';
      return stop + 1;
    }
    at = append_escape(out, text, stop + 1);
  }
}

}  // namespace

std::string json_of_python(std::string_view text) {
  text = trimmed(text);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '\'' || c == '"') {
      at = append_string(out, text, at);
      if (at == std::string_view::npos) return {};
    } else if (is_word(c)) {
      const std::size_t begin = at;
      while (at < text.size() && is_word(text[at])) ++at;
      const std::string_view word = text.substr(begin, at - begin);
      out += word == "True" ? "true" : word == "False" ? "false" : word == "None" ? "null" : word;
    } else {
      out += c == '(' ? '[' : c == ')' ? ']' : c;
      ++at;
    }
  }
  return parse_json(out) ? out : std::string();
}

}  // namespace kvern::chat
