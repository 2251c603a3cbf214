// Harmony (gpt-oss): every part of a turn is a message of its own, with a channel and, for calls, a
// recipient: <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...
// The turn parser, the grammar and the renderer of that layout. Thread: any.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "chat/dialect/dialect.h"

namespace kvern::chat {

std::unique_ptr<Parser> make_channel_parser(ParserOptions options);

// As write_constraint() says. The prompt ends with "<|start|>assistant".
Result<ConstraintSpec> write_channel_constraint(const Dialect& dialect, const ChatRequest& request, const Vocab& vocab,
                                                constrain::Compiler& compiler, constrain::SchemaFitter& fitter,
                                                const GivenUp& given_up);

std::string render_channel_calls(const Dialect& dialect, std::span<const ToolCall> calls);

}  // namespace kvern::chat
