// Small words for spans of tokens and block positions, shared by this folder.
#pragma once

#include <cstdint>
#include <span>

#include "cache/prefix_tree.h"

namespace kvern::cache {

// Below this a match is the template's opening words, not a prompt seen before.
inline constexpr std::int32_t kMeaningfulTokens = 16;

constexpr std::int32_t block_begin(std::int32_t position) { return position / kBlockTokens * kBlockTokens; }

inline std::int32_t size_of(std::span<const TokenId> tokens) { return static_cast<std::int32_t>(tokens.size()); }

inline std::span<const TokenId> first(std::span<const TokenId> tokens, std::int32_t count) {
  return tokens.first(static_cast<std::size_t>(count));
}

}  // namespace kvern::cache
