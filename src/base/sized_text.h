// Texts put together into one that stands for all of them: a key to look up, bytes to hash.
#pragma once

#include <string>
#include <string_view>

namespace kvern {

// Appends "LENGTH:TEXT", so that no other texts in a row give the same bytes. The form is part of what is hashed
// into saved records: it does not change.
inline void append_sized(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

}  // namespace kvern
