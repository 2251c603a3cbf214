// Whether a message says what a turn that was lived said.
//
// Free: whitespace around text, key order, spacing, escapes and number spelling of arguments, and a
// value turned into the type its schema asks for. Everything else is a difference: another value,
// name, id or order of calls, edited text, other reasoning. Thread: any; pure functions.
#pragma once

#include <span>
#include <string_view>

#include "core/message.h"
#include "core/tool.h"

namespace kvern::chat {

// Without whitespace at its ends.
std::string_view bare(std::string_view text);

// What a client sends back for a turn. Reasoning may be missing, but not different.
bool same_meaning(const Message& lived, const Message& sent, std::span<const Tool> tools);

// What a template wrote for a turn, read by the dialect's parser. Ids are not written, reasoning must
// be there, and values of a tagged form lost their types: True stands for true.
bool same_as_written(const Message& lived, const Message& written, std::span<const Tool> tools);

}  // namespace kvern::chat
