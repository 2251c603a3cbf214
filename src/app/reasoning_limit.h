// A request's wish about reasoning, in the words of the model's family. Thread: any.
#pragma once

#include "chat/dialect/dialect.h"
#include "core/chat_request.h"
#include "core/generator.h"
#include "core/vocab.h"

namespace kvern::app {

// No limit when none was asked for, or for a family that does not reason.
ReasoningLimit reasoning_limit(const chat::Dialect& dialect, bool in_reasoning, const Reasoning& wanted,
                               const Vocab& vocab);

}  // namespace kvern::app
