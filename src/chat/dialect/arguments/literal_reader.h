// Reads arguments that are literals of a programming language: Python's keyword arguments, Gemma's
// objects. What comes out is JSON. Thread: one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "chat/dialect/arguments/codec.h"

namespace kvern::chat {

enum class LiteralForm {
  keywords,          // k='v', n=3: Python's literals, up to a closing bracket that is not ours
  keywords_of_json,  // the same, but escapes in strings are JSON's
  object             // {k:<|"|>v<|"|>,n:3}: strings raw between the dialect's quote marks
};

std::unique_ptr<ArgumentReader> make_literal_reader(const Dialect& dialect, LiteralForm form);

// A word that is no string, as JSON: a number or a constant, in JSON's spelling or Python's. nullopt:
// neither.
std::optional<std::string> word_as_json(std::string_view word);

// The escape sequence text begins with (a backslash and more): how long it is, and what it says.
// Length 0: more text is needed.
struct Escape {
  std::size_t length = 0;
  std::string text;  // without the escape
};
Escape read_python_escape(std::string_view text, bool last);

}  // namespace kvern::chat
