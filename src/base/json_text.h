// JSON without a document: written for the hot path and for log lines, followed as it is generated.
// Thread: any.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kvern {

// Appends text's characters with JSON escapes, without the quotes. Bytes that are not UTF-8 become
// U+FFFD, so the output is always valid JSON.
void append_json_escaped(std::string& out, std::string_view text);

// The same with quotes around it.
void append_json_string(std::string& out, std::string_view text);

// Follows brackets and strings, a character at a time, from the first bracket of a value.
class JsonNesting {
 public:
  // True when c closed the value. What is between brackets is not judged.
  bool closes(char c);
  bool in_string() const { return in_string_; }
  // Within no bracket and no string: what ends a member stands here.
  bool outside() const { return depth_ == 0 && !in_string_; }

 private:
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

// The JSON text with every \u escape of half a surrogate pair as \ufffd; none when it has no such escape.
// JavaScript clients send them where they cut a text in the middle of a character.
std::optional<std::string> without_lone_surrogates(std::string_view json);

}  // namespace kvern
