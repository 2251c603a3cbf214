// How urgent a request is, from what it says and how it looks. Pure; thread: any.
#pragma once

#include <string>

#include "core/chat_request.h"
#include "core/generator.h"

namespace kvern::app {

// A sub-agent's request has a session key "SESSION/AGENT": its parent goes on meanwhile.
//
// Background are requests a client makes for itself, such as a title or a topic: no tools, and JSON as a
// short answer. A client can also say so: a session key that ends in "background", and the names the launchers give
// to roles, MODEL:aux (a classifier's verdict, which somebody waits for) and MODEL:subagent, are a sub-agent's. Clients
// have no common word for this, and a wrong guess only costs a place in a line in which nobody starves.
Priority priority_of(const ChatRequest& request, const std::string& session);

// For raw prompts, which have no shape to judge by.
Priority priority_of(const std::string& session);

}  // namespace kvern::app
