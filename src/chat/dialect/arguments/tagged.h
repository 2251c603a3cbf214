// The parts of the tagged codec. Thread: any.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "chat/dialect/arguments/codec.h"

namespace kvern::chat {

std::unique_ptr<ArgumentReader> make_tagged_reader(const Dialect& dialect);

Result<std::string> tagged_grammar(GrammarParts& parts, const Tool& tool);

}  // namespace kvern::chat
