#include "schedule/text_assembler.h"

#include <algorithm>

#include "base/utf8.h"

namespace kvern::schedule {

std::optional<std::string> TextAssembler::feed(std::string_view bytes, std::string& out) {
  held_ += bytes;
  std::size_t first = std::string::npos;
  const std::string* found = nullptr;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at < first) {
      first = at;
      found = &stop;
    }
  }
  if (found) {
    out += to_valid_utf8(std::string_view(held_).substr(0, first));
    held_.clear();
    return *found;
  }
  const std::size_t keep = std::max(possible_stop(), utf8_incomplete_suffix(held_));
  out += to_valid_utf8(std::string_view(held_).substr(0, held_.size() - keep));
  held_.erase(0, held_.size() - keep);
  return std::nullopt;
}

void TextAssembler::finish(std::string& out) {
  out += to_valid_utf8(held_);
  held_.clear();
}

// Longest end of held_ that begins a stop string.
std::size_t TextAssembler::possible_stop() const {
  std::size_t longest = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > longest; --n) {
      if (std::string_view(held_).substr(held_.size() - n) == std::string_view(stop).substr(0, n)) {
        longest = n;
        break;
      }
    }
  }
  return longest;
}

}  // namespace kvern::schedule
