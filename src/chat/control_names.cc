#include "chat/control_names.h"

#include <algorithm>

namespace kvern::chat {

ControlNames::ControlNames(const Vocab& vocab, const std::vector<TokenId>& markers) {
  for (TokenId token = 0; token < vocab.size(); ++token) {
    const std::string_view name = vocab.piece(token);
    if (name.empty() || !vocab.is_control(token)) continue;
    if (std::find(markers.begin(), markers.end(), token) != markers.end()) continue;
    if (!names_.insert(name).second) continue;
    begins_[static_cast<unsigned char>(name.front())] = true;
    if (std::find(lengths_.begin(), lengths_.end(), name.size()) == lengths_.end()) lengths_.push_back(name.size());
  }
}

std::size_t ControlNames::find(std::string_view text, std::size_t from) const {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (!begins_[static_cast<unsigned char>(text[at])]) continue;
    for (const std::size_t length : lengths_)
      if (at + length <= text.size() && names_.contains(text.substr(at, length))) return at;
  }
  return std::string_view::npos;
}

}  // namespace kvern::chat
