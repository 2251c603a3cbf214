// A request's messages and tools as a chat template wants them.
//
// Thread: any; pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "chat/adaptations.h"
#include "chat/dialect/dialect.h"
#include "core/chat_request.h"

namespace kvern::chat {

// How a template wants `arguments`: transformers gives an object; some templates write a text as it is
// and an object wrongly.
enum class ArgumentForm { object, text };

struct JsonForm {
  ArgumentForm arguments = ArgumentForm::object;
  std::vector<std::string_view> reasoning_names = {"reasoning_content"};  // fields it goes into
};

// The ids that a template gets for a message's calls, and for the call that it answers.
struct MessageIds {
  std::vector<std::string> calls;
  std::string answered;
};

// Calls have the ids of their family where it writes ids: these depend on the messages before. Of the adaptations
// only nine_ids counts.
std::vector<MessageIds> ids_of(std::span<const Message> messages, Adaptations adaptations, const Dialect& dialect);

// One message with its ids. Of the adaptations only object_arguments counts.
Json message_json(const Message& message, const MessageIds& ids, const JsonForm& form, Adaptations adaptations);

// All of them.
Json messages_json(std::span<const Message> messages, const JsonForm& form, Adaptations adaptations,
                   const Dialect& dialect);

// The tools in text, in the first system message: for templates that do not know them.
std::vector<Message> with_described_tools(std::vector<Message> messages, std::span<const Tool> tools,
                                          const Dialect& dialect);

// OpenAI's form; null when there are none, as transformers passes it.
Json tools_json(std::span<const Tool> tools);

// The template's variables but messages and tools: add_generation_prompt, and template_kwargs.
// Code::invalid when the latter is no JSON object.
Result<Json> extra_variables(const std::string& template_kwargs);

}  // namespace kvern::chat
