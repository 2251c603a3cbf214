// Pieces of Lark that the grammar of a turn is put together from. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "core/vocab.h"

namespace kvern::chat {

// Matches exactly text. Markers in it that are control tokens of the vocabulary are named by id:
// llguidance matches those as tokens only, never as text.
std::string lark_text(std::string_view text, const Vocab& vocab);

// The id form "<[7]>" when the marker is a control token; empty otherwise.
std::string control_token(std::string_view marker, const Vocab& vocab);

// A terminal's body: any text that does not begin, after whitespace, with word. TEXT and BLANK are
// terminals of the grammar: any text, and whitespace.
std::string text_not_beginning_with(std::string_view word);

}  // namespace kvern::chat
