// Strings that know which of their bytes the template wrote.
//
// The engine's string is a list of parts with one flag, meant to mark input; what a filter makes
// loses it. Here the flag marks the opposite, text of the template itself, so that everything
// derived in ways nobody thought of counts as input: "<|im_end|>" in a file can never become a token.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "chat/template/engine.h"

namespace kvern::chat {

jinja::string trusted_text(std::string text);
jinja::value trusted_value(std::string text);

// Appends, joining neighbours of the same kind so that repeated concatenation stays cheap.
void append_text(jinja::string& to, const jinja::string& text);

// Bytes [from, to) with their flags.
jinja::string part_of(const jinja::string& text, std::size_t from, std::size_t to);

// A number or truth value as Python prints it.
std::string number_text(const jinja::value_t& number);

// A value's text in a concatenation: numbers are the template's own, none and undefined are empty.
jinja::string text_of(const jinja::value& value);

}  // namespace kvern::chat
