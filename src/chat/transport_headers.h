// Transport metadata that clients write into the system text.
//
// Claude Code begins its system text with a block `x-anthropic-billing-header: cc_version=...;
// cch=...;`. It says nothing to a model, and as it differs between conversations (in some versions
// between requests) everything after it would be computed again. Thread: any; pure functions.
#pragma once

#include <string_view>

namespace kvern::chat {

// The system text without a header line at its very start, and without the blank lines behind it.
// The line ends where its `name=value;` pairs end: a client may put the next block right behind it.
std::string_view without_transport_header(std::string_view system_text);

}  // namespace kvern::chat
