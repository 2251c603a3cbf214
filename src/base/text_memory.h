// What was made of texts that come again and again: a client sends the same parts with every request.
//
// Found by the whole text, compared byte for byte, and by the type of what was made. Bounded by bytes; what was
// asked for longest ago goes first, and lives on with whoever holds it. Thread: any; one mutex, not held while
// anything is made or destroyed.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace kvern {

class TextMemory {
 public:
  explicit TextMemory(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Null when nothing is known.
  template <typename Value>
  std::shared_ptr<const Value> find(std::string_view text) {
    return std::static_pointer_cast<const Value>(find({text, &kTypeOf<Value>}));
  }

  // bytes: about what the value takes. What another thread kept for the text meanwhile is as good, and stays.
  template <typename Value>
  std::shared_ptr<const Value> keep(std::string_view text, Value value, std::size_t bytes) {
    auto held = std::make_shared<const Value>(std::move(value));
    keep(Entry{std::string(text), &kTypeOf<Value>, held, bytes});
    return held;
  }

  std::size_t bytes() const;  // that it takes now, texts included

 private:
  template <typename Value>
  static inline constexpr char kTypeOf = 0;  // its address is the type's name

  struct Entry {
    std::string text;
    const char* type = nullptr;
    std::shared_ptr<const void> value;
    std::size_t value_bytes = 0;

    std::size_t bytes() const;
  };
  using Entries = std::list<Entry>;
  struct Key {
    std::string_view text;
    const char* type = nullptr;
    bool operator==(const Key&) const = default;
  };
  struct KeyHasher {
    std::size_t operator()(const Key& key) const;
  };

  std::shared_ptr<const void> find(const Key& key);
  void keep(Entry entry);

  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  Entries entries_;  // last used first
  std::unordered_map<Key, Entries::iterator, KeyHasher> index_;
  std::size_t bytes_ = 0;
};

}  // namespace kvern
