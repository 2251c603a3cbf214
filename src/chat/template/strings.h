// Strings that know which of their bytes the template wrote.
//
// The engine's string is a list of parts with one flag, meant to mark input; what a filter makes
// loses it. Here the flag marks the opposite, text of the template itself, so that everything
// derived in ways nobody thought of counts as input: "<|im_end|>" in a file can never become a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chat/template/engine.h"

namespace kvern::chat {

jinja::string trusted_text(std::string text);
jinja::value trusted_value(std::string text);

// Appends, joining neighbours of the same kind so that repeated concatenation stays cheap.
void append_text(jinja::string& to, const jinja::string& text);

// Bytes [from, to) with their flags.
jinja::string part_of(const jinja::string& text, std::size_t from, std::size_t to);

// The characters of UTF-8 text: Python counts those, not bytes. Text that is all ASCII needs no table;
// the table of any other costs steps of the render.
class Characters {
 public:
  explicit Characters(const std::string& text);

  std::size_t count() const { return count_; }
  std::size_t begin(std::size_t index) const { return bounds_.empty() ? index : bounds_[index]; }  // 0..count()

 private:
  std::size_t count_;
  std::vector<std::size_t> bounds_;  // empty: all ASCII
};

// The character of a valid UTF-8 sequence.
std::uint32_t code_point(std::string_view sequence);

// A value's text as Python prints it: numbers and None are the template's own, undefined is empty.
jinja::string text_of(const jinja::value& value);

}  // namespace kvern::chat
