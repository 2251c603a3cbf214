#include "chat/dialect/arguments/json_cursor.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {

char JsonCursor::peek() {
  at_ = std::min(text_.find_first_not_of(kJsonSpace, at_), text_.size());
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonCursor::take(char token) {
  if (peek() != token || token == '\0') return false;
  ++at_;
  return true;
}

std::string JsonCursor::take_text() {
  if (peek() != '"') return {};
  const std::size_t begin = at_;
  for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_)
    if (text_[at_] == '\\') ++at_;
  at_ = std::min(at_ + 1, text_.size());
  const auto parsed = parse_json(text_.substr(begin, at_ - begin));
  return parsed && parsed->is_string() ? parsed->get<std::string>() : std::string();
}

std::string_view JsonCursor::take_scalar() {
  if (peek() == '\0') return {};
  const std::size_t begin = at_;
  at_ = std::min(text_.find_first_of(",]} \t\r\n", at_), text_.size());
  if (at_ == begin) ++at_;  // cannot be in valid JSON
  return text_.substr(begin, at_ - begin);
}

}  // namespace kvern::chat
