// Pieces of Lark that the grammar of a turn is put together from. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "chat/dialect/dialect.h"
#include "core/vocab.h"

namespace kvern::chat {

// Matches exactly text. Markers in it that are control tokens of the vocabulary are named by id:
// llguidance matches those as tokens only, never as text.
std::string lark_text(std::string_view text, const Vocab& vocab);

// The id form "<[7]>" when the marker is a control token; empty otherwise.
std::string control_token(std::string_view marker, const Vocab& vocab);

// Lark for an id of a call.
std::string_view id_expression(IdForm form);

// Whether the marker's first token is a control token: no text can hold it, so text ends there.
bool begins_with_control(std::string_view marker, const Vocab& vocab);

// A regular expression, for Lark's /.../, that matches exactly text. It stands for what a lexer reads,
// so markers that are control tokens do not belong in it.
std::string regex_text(std::string_view text);

// A terminal's body: any text that does not begin, after whitespace, with word. TEXT and BLANK are
// terminals of the grammar: any text, and whitespace.
std::string text_not_beginning_with(std::string_view word);

}  // namespace kvern::chat
