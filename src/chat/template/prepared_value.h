// A JSON document as the engine's values, and what `tojson` made of its parts: both the same in every render.
//
// Thread: any. The values never change: RenderState refuses templates that would, and the engine changes none
// by itself.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/json.h"
#include "chat/template/engine.h"
#include "chat/template/to_json.h"

namespace kvern::chat {

class PreparedValue {
 public:
  explicit PreparedValue(const Json& document);

  const jinja::value& value() const { return value_; }
  std::size_t bytes() const { return bytes_; }  // about what it takes, texts included

  // How many levels a container has; none: it is not part of this document.
  std::optional<int> height_of(const jinja::value& container) const;

  // value_to_json_text() of one of its containers, as the value of a string. Kept, up to
  // limits::kPreparedTextBytes.
  jinja::value json_of(const jinja::value& container, const JsonLayout& layout) const;

 private:
  std::unordered_map<const jinja::value_t*, int> heights_;
  const jinja::value value_;
  const std::size_t bytes_;

  mutable std::mutex mutex_;
  mutable std::map<std::pair<const jinja::value_t*, JsonLayout>, jinja::value> texts_;
  mutable std::size_t text_bytes_ = 0;
};

}  // namespace kvern::chat
