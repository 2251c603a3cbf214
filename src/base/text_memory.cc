#include "base/text_memory.h"

#include <iterator>
#include <utility>

#include "base/hash.h"

namespace kvern {
namespace {

// Of one entry beside its text and value: nodes of the list and of the index, allocations.
constexpr std::size_t kEntryBytes = 250;

}  // namespace

std::size_t TextMemory::Entry::bytes() const { return kEntryBytes + text.capacity() + value_bytes; }

std::size_t TextMemory::KeyHasher::operator()(const Key& key) const {
  return static_cast<std::size_t>(xxh3_128(key.text).low) ^ std::hash<const char*>()(key.type);
}

std::shared_ptr<const void> TextMemory::find(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->value;
}

void TextMemory::keep(Entry entry) {
  const std::size_t bytes = entry.bytes();
  if (bytes > bytes_max_) return;
  Entries one;
  one.push_back(std::move(entry));
  Entries gone;  // destroyed without the mutex
  const std::lock_guard lock(mutex_);
  if (!index_.emplace(Key{one.front().text, one.front().type}, one.begin()).second) return;
  entries_.splice(entries_.begin(), one);
  bytes_ += bytes;
  while (bytes_ > bytes_max_) {
    const auto last = std::prev(entries_.end());
    bytes_ -= last->bytes();
    index_.erase({last->text, last->type});
    gone.splice(gone.begin(), entries_, last);
  }
}

std::size_t TextMemory::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace kvern
