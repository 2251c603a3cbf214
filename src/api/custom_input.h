// The raw text a custom tool was called with, out of the JSON arguments it travels in.
//
// Arguments come in pieces cut anywhere: in an escape, between surrogates, in a character. For any
// text and any split of it the joined output is the same. Thread: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json_text.h"

namespace kvern::api {

// Reads {"input": "..."} and gives the string's text; other members are passed over. What is no object
// comes out as it is, so nothing a model wrote is lost. Never fails: of arguments that were cut off it
// gives what there was, up to the last whole character; a lone surrogate is U+FFFD.
class CustomInput {
 public:
  // Appends to out what the piece adds; whole UTF-8 sequences where the pieces hold UTF-8.
  void feed(std::string_view piece, std::string& out);

 private:
  enum class Place { start, raw, member, key, colon, value, text, other, after };

  void take(char c, std::string& out);
  void take_in_string(char c, std::string& out);
  void take_escape(char c, std::string& out);
  void take_hex(char c, std::string& out);
  void take_unit(std::uint32_t unit, std::string& out);
  void take_other(char c);
  void begin_value(char c);
  void end_string();
  void drop_lone_surrogate(std::string& out);

  Place place_ = Place::start;
  std::string key_;
  std::string held_;        // bytes that may still become a character
  bool escaped_ = false;    // a backslash came
  int hex_digits_ = 0;      // still to come
  std::uint32_t unit_ = 0;  // of a \u escape
  std::uint32_t high_ = 0;  // the first half of a pair; 0: none
  JsonNesting nesting_;     // of another member's value
};

std::string custom_input(std::string_view arguments);  // of a whole call
// The way back: the JSON arguments a model here would have written.
std::string custom_arguments(std::string_view input);

}  // namespace kvern::api
