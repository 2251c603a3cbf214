// What a template rendered, as one text that knows which of its bytes came from the request.
// Thread: none of its own; a plain value.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "chat/template/jinja_template.h"

namespace kvern::chat {

struct RenderedText {
  struct Part {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool is_input = false;
  };

  explicit RenderedText(const std::vector<RenderedPart>& rendered) {
    for (const RenderedPart& part : rendered) {
      parts.push_back({text.size(), text.size() + part.text.size(), part.is_input});
      text += part.text;
    }
  }

  std::string_view between(std::size_t begin, std::size_t end) const {
    return std::string_view(text).substr(begin, end - begin);
  }
  std::string_view of(const Part& part) const { return between(part.begin, part.end); }

  // The part the byte at offset is in; parts.size() at the end of the text.
  std::size_t part_at(std::size_t offset) const {
    const auto after = std::upper_bound(parts.begin(), parts.end(), offset,
                                        [](std::size_t at, const Part& part) { return at < part.end; });
    return static_cast<std::size_t>(after - parts.begin());
  }

  std::string text;
  std::vector<Part> parts;  // in order, none empty
};

}  // namespace kvern::chat
