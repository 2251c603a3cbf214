// The parts of the object codec: Gemma's objects. Their templates sort keys wherever they write them,
// declarations included, so that is the order in which models write them too, and the grammar's.
// Thread: any.
#pragma once

#include <string>

#include "base/result.h"
#include "chat/dialect/grammar_parts.h"

namespace kvern::chat {

Result<std::string> object_grammar(GrammarParts& parts, const Tool& tool);

// As Jinja's dictsort orders keys.
bool sorts_before(std::string_view left, std::string_view right);

}  // namespace kvern::chat
