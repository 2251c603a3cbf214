#include "chat/dialect/json_scan.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace kvern::chat {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kJsonSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kJsonSpace) + 1 - first);
}

namespace {

// The offset just behind the string that starts at text[at]. The text is valid JSON.
std::size_t after_string(std::string_view text, std::size_t at) {
  for (++at; text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return at + 1;
}

// The offset of the comma or brace that ends the member value starting at text[at].
std::size_t after_value(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  for (;; ++at) {
    const char c = text[at];
    if (c == '"') {
      at = after_string(text, at) - 1;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (depth > 0) {
      if (c == '}' || c == ']') --depth;
    } else if (c == ',' || c == '}') {
      return at;
    }
  }
}

}  // namespace

std::optional<std::vector<JsonMember>> split_object(std::string_view text) {
  const auto document = parse_json(text);  // only to know that the text is valid
  if (!document || !document->is_object()) return std::nullopt;
  std::vector<JsonMember> members;
  std::size_t at = text.find('{') + 1;
  for (;;) {
    at = text.find_first_not_of(kJsonSpace, at);
    if (text[at] == '}') return members;
    if (text[at] == ',') {
      ++at;
      continue;
    }
    const std::size_t key_end = after_string(text, at);
    const auto key = parse_json(text.substr(at, key_end - at));
    if (!key) return std::nullopt;
    const std::size_t begin = text.find(':', key_end) + 1;
    const std::size_t end = after_value(text, begin);
    members.push_back({key->get<std::string>(), trimmed(text.substr(begin, end - begin))});
    at = end;
  }
}

std::string respaced(std::string_view json, std::string_view item_separator, std::string_view key_separator) {
  std::string out;
  out.reserve(json.size() + json.size() / 8);
  for (std::size_t at = 0; at < json.size();) {
    const char c = json[at];
    if (c == '"') {
      const std::size_t end = after_string(json, at);
      out += json.substr(at, end - at);
      at = end;
      continue;
    }
    if (c == ',') {
      out += item_separator;
    } else if (c == ':') {
      out += key_separator;
    } else if (kJsonSpace.find(c) == std::string_view::npos) {
      out += c;
    }
    ++at;
  }
  return out;
}

}  // namespace kvern::chat
