#include "chat/token_cache.h"

#include <iterator>
#include <utility>

#include "base/hash.h"

namespace kvern::chat {
namespace {

// Of one entry beside its text and tokens: nodes of the list and of the index,
// allocations.
constexpr std::size_t kEntryBytes = 200;

}  // namespace

std::size_t TokenCache::Entry::bytes() const {
  return kEntryBytes + text.capacity() + tokens.capacity() * sizeof(TokenId);
}

std::size_t TokenCache::KeyHasher::operator()(const Key& key) const {
  const auto hash = static_cast<std::size_t>(xxh3_128(key.text).low);
  return key.special == SpecialTokens::as_tokens ? hash : ~hash;
}

TokenCache::TokenCache(const Vocab& vocab, std::size_t bytes_max) : vocab_(vocab), bytes_max_(bytes_max) {}

void TokenCache::tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) {
  if (text.empty() || recall({text, special}, out)) return;
  Entry entry{std::string(text), special, {}};
  vocab_.tokenize(text, special, entry.tokens);
  out.insert(out.end(), entry.tokens.begin(), entry.tokens.end());
  entry.tokens.shrink_to_fit();
  keep(std::move(entry));
}

bool TokenCache::recall(const Key& key, std::vector<TokenId>& out) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return false;
  entries_.splice(entries_.begin(), entries_, found->second);
  const std::vector<TokenId>& tokens = found->second->tokens;
  out.insert(out.end(), tokens.begin(), tokens.end());
  return true;
}

void TokenCache::keep(Entry entry) {
  const std::size_t bytes = entry.bytes();
  if (bytes > bytes_max_) return;
  Entries one;
  one.push_back(std::move(entry));
  const Key key{one.front().text, one.front().special};
  Entries gone;  // destroyed without the mutex
  const std::lock_guard lock(mutex_);
  if (!index_.emplace(key, one.begin()).second) return;  // another thread was as quick
  entries_.splice(entries_.begin(), one);
  bytes_ += bytes;
  while (bytes_ > bytes_max_) {
    const auto last = std::prev(entries_.end());
    bytes_ -= last->bytes();
    index_.erase({last->text, last->special});
    gone.splice(gone.begin(), entries_, last);
  }
}

std::size_t TokenCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace kvern::chat
