// Finds the names of control tokens in a template's text. Thread: any; immutable.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/vocab.h"

namespace kvern::chat {

class ControlNames {
 public:
  // All control tokens but those whose names are text to the dialect. vocab must outlive it.
  ControlNames(const Vocab& vocab, const std::vector<TokenId>& markers);

  // Where a name begins in text at or after `from`; npos when none does.
  std::size_t find(std::string_view text, std::size_t from) const;

 private:
  std::unordered_set<std::string_view> names_;
  std::vector<std::size_t> lengths_;  // each once
  std::array<bool, 256> begins_{};    // a name begins with this byte
};

}  // namespace kvern::chat
