// The `messages` of a chat request -> canonical messages. Pure; thread: any.
#pragma once

#include <vector>

#include "api/fields.h"
#include "core/message.h"

namespace kvern::api {

// Code::too_large over kMessages or kContentParts. Content parts are joined without a separator, so
// that a string and the same string as one part are the same message and share a cached prefix.
Result<std::vector<Message>> read_messages(const Fields& body);

}  // namespace kvern::api
