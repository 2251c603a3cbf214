// A JSON document as the engine's values, and what `tojson` made of its parts: both the same in every render.
//
// Thread: any. The values never change: RenderState refuses templates that would, and the engine changes none
// by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "chat/template/engine.h"
#include "chat/template/to_json.h"

namespace kvern::chat {

class Round;

class PreparedValue {
 public:
  // What may be kept with the document besides its values.
  struct Room {
    std::size_t text_bytes = 0;   // texts that `tojson` made of its parts
    std::size_t round_bytes = 0;  // rounds of loops over it and others
  };
  PreparedValue(const Json& document, Room room);

  const jinja::value& value() const { return value_; }
  std::size_t bytes() const { return bytes_; }  // about what it takes, texts included

  // How many levels a container has; none: it is not part of this document.
  std::optional<int> height_of(const jinja::value& container) const;

  const std::unordered_map<const jinja::value_t*, int>& heights() const { return heights_; }

  // value_to_json_text() of one of its containers, as the value of a string. Kept while there is room.
  jinja::value json_of(const jinja::value& container, const JsonLayout& layout) const;

  // Rounds that a loop made of it, the latest first; a loop is known by its number.
  std::vector<std::shared_ptr<const Round>> rounds_of(std::uint64_t loop) const;
  void keep_round(std::uint64_t loop, std::shared_ptr<const Round> round) const;

 private:
  struct KeptRound {
    std::uint64_t loop = 0;
    std::shared_ptr<const Round> round;
  };

  std::unordered_map<const jinja::value_t*, int> heights_;
  const jinja::value value_;
  const Room room_;
  const std::size_t bytes_;

  mutable std::mutex mutex_;
  mutable std::map<std::pair<const jinja::value_t*, JsonLayout>, jinja::value> texts_;
  mutable std::size_t text_bytes_ = 0;
  mutable std::vector<KeptRound> rounds_;  // latest first
  mutable std::size_t round_bytes_ = 0;
};

}  // namespace kvern::chat
