// `system` and `messages` of an Anthropic request -> canonical messages. Pure; thread: any.
//
// A block that was accepted once comes again with every later request of its session, so no kind of
// block is refused: what a text model cannot read becomes a short text that says what stood there.
// Every spelling of one content gives the same messages, or cached prefixes would be lost.
#pragma once

#include <string>
#include <vector>

#include "api/anthropic_tools.h"
#include "api/request_body.h"
#include "core/message.h"

namespace kvern::api {

// The system text first, when there is one. Results come before the text of their user message; system
// messages stay where they are. Text blocks are joined with an empty line between them, those of the
// assistant with nothing: they are parts of one turn. Tools that the messages refer to are shown at
// that place. Code::too_large over kMessages or kContentParts.
Result<std::vector<Message>> read_anthropic_messages(const RequestBody& body, OfferedTools& tools);

}  // namespace kvern::api
