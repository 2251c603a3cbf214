// The parts of the pythonic codec. Dialect::quote says what values are: a single quote Python's literals,
// a double quote JSON. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "chat/dialect/grammar_parts.h"

namespace kvern::chat {

Result<std::string> pythonic_grammar(GrammarParts& parts, const Tool& tool);

// Whether a parameter can go by this name: models do not keep to Python's identifiers.
bool is_pythonic_key(std::string_view name);

// A literal of Python, on one line.
std::string python_text(std::string_view text, char quote);

}  // namespace kvern::chat
