#include "chat/turns/token_hash.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace kvern::chat {
namespace {

constexpr std::size_t kBlockTokens = 1024;

Hash128 chained(const Hash128& before, std::span<const TokenId> tokens) {
  std::string bytes(sizeof before + tokens.size_bytes(), '\0');
  std::memcpy(bytes.data(), &before, sizeof before);
  if (!tokens.empty()) std::memcpy(bytes.data() + sizeof before, tokens.data(), tokens.size_bytes());
  return xxh3_128(bytes);
}

}  // namespace

Hash128 TokenHash::of(std::span<const TokenId> tokens) {
  while ((blocks_.size() + 1) * kBlockTokens <= tokens.size()) {
    const Hash128 before = blocks_.empty() ? Hash128{} : blocks_.back();
    blocks_.push_back(chained(before, tokens.subspan(blocks_.size() * kBlockTokens, kBlockTokens)));
  }
  const std::size_t full = tokens.size() / kBlockTokens;
  return chained(full == 0 ? Hash128{} : blocks_[full - 1], tokens.subspan(full * kBlockTokens));
}

void TokenHash::forget(std::size_t from) { blocks_.resize(std::min(blocks_.size(), from / kBlockTokens)); }

}  // namespace kvern::chat
