// Renders the conversations that show how a template writes calls. Thread: any.
#pragma once

#include <vector>

#include "base/json.h"
#include "chat/dialect/dialect.h"
#include "chat/template/jinja_template.h"

namespace kvern::chat {

// For choose_dialect(): with text, with empty text and without any; arguments as an object and as a
// string; both forms of ids; with a question behind the calls and as the last message. The likeliest
// first; conversations in which no call shows are left out. constants: bos_token, eos_token.
std::vector<CallProbe> probe_renders(const JinjaTemplate& jinja, const Json& constants);

}  // namespace kvern::chat
