// The records, by the file that holds them. Thread: any; constants.
#pragma once

#include <span>

#include "chat/dialect/dialect.h"

namespace kvern::chat {

// In the order in which choose_dialect() prefers them by signs: the most telling first.
std::span<const Dialect> marked_json_records();  // a name, then arguments as JSON: Mistral, DeepSeek, Kimi K2 ...
std::span<const Dialect> json_records();         // a JSON object that holds both: Hermes, Llama, Command ...
std::span<const Dialect> tagged_records();       // one element a parameter: Qwen-Coder, GLM, DSML, MiniMax M2 ...
std::span<const Dialect> channel_records();      // harmony
std::span<const Dialect> odd_records();          // what needs a codec or a layout of its own

}  // namespace kvern::chat
