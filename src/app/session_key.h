// Which conversation a request belongs to, from what its client says about itself. Pure; thread: any.
#pragma once

#include <string>

#include "http/server.h"

namespace kvern::app {

// "claude:SESSION/AGENT", "codex:THREAD", ...; from_body, a key in the body, when no header names one.
// Empty when the client says nothing: then only the prompt tells. Names as agents send them:
// x-claude-code-session-id and x-claude-code-agent-id (a sub-agent of it), session-id and thread-id
// (Codex), x-session-id and x-session-affinity (opencode).
std::string session_key(const http::Request& request, const std::string& from_body);

}  // namespace kvern::app
