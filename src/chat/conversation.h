// A request's messages and tools as a chat template wants them.
//
// Thread: any; pure functions.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "chat/dialect/dialect.h"
#include "core/chat_request.h"

namespace kvern::chat {

// Messages a template without tools understands: tools described in the first system message,
// calls as the text a model of this dialect writes, results as a user's turn.
std::vector<Message> without_tools(std::span<const Message> messages, std::span<const Tool> tools,
                                   const Dialect& dialect);

enum class Strictness {
  as_sent,
  // For templates that refuse what clients send: arguments that are no object become one, and call
  // ids become nine letters and digits (Mistral's rule), equal ids staying equal.
  adapted
};

Json messages_json(std::span<const Message> messages, Strictness strictness);

// OpenAI's form; null when there are none, as transformers passes it.
Json tools_json(std::span<const Tool> tools);

// The template's variables but messages and tools: add_generation_prompt, and template_kwargs.
// Code::invalid when the latter is no JSON object.
Result<Json> extra_variables(const std::string& template_kwargs);

}  // namespace kvern::chat
