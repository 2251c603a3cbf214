// What a response format asks for, as the right side of a Lark rule. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "constrain/constraint.h"
#include "constrain/schema.h"
#include "core/chat_request.h"

namespace kvern::chat {

// format is not `text`. Errors about what the client wrote name its field.
Result<std::string> format_rule(const ResponseFormat& format, constrain::Compiler& compiler,
                                constrain::SchemaFitter& fitter, std::vector<std::string>& relaxed);

}  // namespace kvern::chat
