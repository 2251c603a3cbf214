// A map by content hash that forgets what was used longest ago.
//
// Bounded by entries and by the bytes its owner says each costs. Thread: the owner's lock.
#pragma once

#include <cstddef>
#include <iterator>
#include <list>
#include <unordered_map>
#include <utility>

#include "base/hash.h"

namespace kvern::constrain {

template <typename Value>
class Lru {
 public:
  Lru(std::size_t entries_max, std::size_t bytes_max) : entries_max_(entries_max), bytes_max_(bytes_max) {}

  // Null when unknown. Valid until the next put or erase.
  const Value* find(const Hash128& key) {
    const auto it = index_.find(key);
    if (it == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, it->second);
    return &it->second->value;
  }

  // Replaces an older value. The newest entry stays even when it alone is over the byte limit.
  void put(const Hash128& key, Value value, std::size_t bytes) {
    erase(key);
    order_.push_front(Entry{key, std::move(value), bytes});
    index_[key] = order_.begin();
    bytes_ += bytes;
    while (order_.size() > 1 && (order_.size() > entries_max_ || bytes_ > bytes_max_)) erase(order_.back().key);
  }

  void erase(Hash128 key) {  // by value: the key may live in the entry that goes
    const auto it = index_.find(key);
    if (it == index_.end()) return;
    bytes_ -= it->second->bytes;
    order_.erase(it->second);
    index_.erase(it);
  }

  std::size_t size() const { return order_.size(); }

 private:
  struct Entry {
    Hash128 key;
    Value value;
    std::size_t bytes;
  };

  std::size_t entries_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<Entry> order_;  // newest first
  std::unordered_map<Hash128, typename std::list<Entry>::iterator, Hash128Hasher> index_;
};

}  // namespace kvern::constrain
