// Tokens of texts that were tokenised before: a conversation's history costs a
// look-up a part, and only what is new is tokenised.
//
// A text's tokens depend on the text alone, so what is kept is found by the
// whole text, compared byte for byte: the result is the vocabulary's own, token
// for token. Bounded by limits::kTokenCacheBytes, texts, tokens and what
// keeping them takes; what was asked for longest ago goes first. Thread: any;
// one mutex, not held while a text is tokenised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "core/vocab.h"

namespace kvern::chat {

class TokenCache {
 public:
  // vocab must outlive the cache.
  explicit TokenCache(const Vocab& vocab, std::size_t bytes_max = limits::kTokenCacheBytes);

  const Vocab& vocab() const { return vocab_; }

  // As Vocab::tokenize.
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out);

  std::size_t bytes() const;  // that it takes now

 private:
  struct Entry {
    std::string text;
    SpecialTokens special;
    std::vector<TokenId> tokens;

    std::size_t bytes() const;
  };
  using Entries = std::list<Entry>;

  // What is asked for, and what an entry is found by: the entry's own text.
  struct Key {
    std::string_view text;
    SpecialTokens special;
    bool operator==(const Key&) const = default;
  };
  struct KeyHasher {
    std::size_t operator()(const Key& key) const;
  };

  bool recall(const Key& key, std::vector<TokenId>& out);
  void keep(Entry entry);

  const Vocab& vocab_;
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  Entries entries_;  // last used first
  std::unordered_map<Key, Entries::iterator, KeyHasher> index_;
  std::size_t bytes_ = 0;
};

}  // namespace kvern::chat
