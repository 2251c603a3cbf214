// Which tokens of a prompt are which message, and what each says, as digests: so that two prompts
// that part ways can be told why.
//
// Replayed turns are where the walk put them. Other messages are looked for by their first words in
// the text that came from the request; one that is not found shares the segment before it.
// Thread: any; pure functions.
#pragma once

#include <span>
#include <vector>

#include "base/text_memory.h"
#include "chat/prompt_walk.h"
#include "chat/rendered_text.h"
#include "core/message.h"
#include "core/prompt.h"
#include "core/tool.h"

namespace kvern::chat {

// Places in the text that the renderer knows.
struct Landmarks {
  std::size_t first_turn = 0;     // offset of the first message that is no system text; 0: unknown
  std::size_t header_tokens = 0;  // at the end: what the template adds for the model to go on; 0: unknown
};

// known: digests of calls that were read before; null: none are.
std::vector<Segment> segments_of(const RenderedText& rendered, const PromptWalk& walk, const Landmarks& landmarks,
                                 std::span<const Message> messages, std::span<const Tool> tools,
                                 TextMemory* known = nullptr);

}  // namespace kvern::chat
