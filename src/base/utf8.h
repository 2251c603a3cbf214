// UTF-8 at the byte level. Thread: any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvern {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

// Length of the valid, shortest-form UTF-8 sequence text begins with (1..4); 0 when it begins with
// a byte sequence that is not one.
std::size_t utf8_sequence_length(std::string_view text);

// Bytes at the end of text that may be the beginning of a longer sequence (0..3).
std::size_t utf8_incomplete_suffix(std::string_view text);

bool is_utf8(std::string_view text);

// The text, or its first characters in at most bytes_max bytes and " ...": for messages that quote
// input.
std::string shortened(std::string_view text, std::size_t bytes_max = 64);

// Appends the character; U+FFFD for what is none (a surrogate, more than U+10FFFF).
void append_utf8(std::string& out, char32_t character);

// The value of a hexadecimal digit, or -1.
int hex_value(char c);

// A copy in which each invalid byte is U+FFFD.
std::string to_valid_utf8(std::string_view text);

}  // namespace kvern
