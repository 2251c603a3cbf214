// A coding agent's conversation as it comes over the wire, of any length: for prep_micro.
//
// Sixty tools with schemas of the size agents send, a system text, and turns of a question, calls and
// their results. The same number gives the same conversation. Thread: any; plain values.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/message.h"
#include "core/tool.h"

namespace kvern::bench {

inline constexpr int kTalkTools = 60;

std::vector<Tool> talk_tools();
Message talk_system();

// The messages of one turn: mostly an assistant's call and its result, sometimes a closing answer and
// the next question. About 300 tokens.
std::vector<Message> talk_turn(int number);

// A request of Anthropic Messages with all of it.
std::string messages_body(const std::vector<Tool>& tools, const std::vector<Message>& messages);

}  // namespace kvern::bench
