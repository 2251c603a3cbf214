// The `messages` of a chat request -> canonical messages. Pure; thread: any.
#pragma once

#include <vector>

#include "api/request_body.h"
#include "core/message.h"

namespace kvern::api {

// One list of messages, or a list of such lists, as MLX-Textgen takes it; never empty. Code::too_large over
// kPrompts, kMessages or kContentParts. Content parts are joined without a separator, so that a string and
// the same string as one part are the same message and share a cached prefix.
Result<std::vector<std::vector<Message>>> read_conversations(const RequestBody& body);

}  // namespace kvern::api
