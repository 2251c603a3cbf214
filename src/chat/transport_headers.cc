#include "chat/transport_headers.h"

#include <algorithm>
#include <cstddef>

namespace kvern::chat {
namespace {

constexpr std::string_view kName = "x-anthropic-billing-header:";

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::size_t length_of_blanks(std::string_view text) { return std::min(text.find_first_not_of(" \t"), text.size()); }

// The length of one " name=value;", 0 when text begins with something else. The line's last may lack
// its ";".
std::size_t length_of_pair(std::string_view text) {
  std::size_t at = length_of_blanks(text);
  const std::size_t name = at;
  while (at < text.size() && is_name(text[at])) ++at;
  if (at == name || at == text.size() || text[at] != '=') return 0;
  const std::size_t end = std::min(text.find_first_of("; \t\r\n", at), text.size());
  if (end == text.size() || text[end] == '\r' || text[end] == '\n') return end;
  return text[end] == ';' ? end + 1 : 0;
}

}  // namespace

std::string_view without_transport_header(std::string_view system_text) {
  if (!system_text.starts_with(kName)) return system_text;
  std::string_view rest = system_text.substr(kName.size());
  bool pairs = false;
  while (const std::size_t length = length_of_pair(rest)) {
    rest.remove_prefix(length);
    pairs = true;
  }
  // A line of another form goes as a whole.
  if (!pairs) rest.remove_prefix(std::min(rest.find('\n'), rest.size()));
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
  return rest;
}

}  // namespace kvern::chat
