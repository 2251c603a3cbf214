// Content blocks of an Anthropic request as text. Pure; thread: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/anthropic_tools.h"
#include "api/fields.h"

namespace kvern::api {

// One block of a content: a text, or an object with a type. Points into the request's document.
struct Block {
  const std::string* text = nullptr;
  const Json* json = nullptr;
  std::string path;
};

// A string is one text block. Code::too_large over kContentParts.
Result<std::vector<Block>> blocks_of(const Fields& holder, std::string_view name);

// What the model reads of a block: its text, or in brackets what stood there. A tool_reference is the
// definition of its tool.
Result<std::string> text_of_block(const Fields& block, const std::string& type, OfferedTools& tools);

// Joined with an empty line between them; tool_references in a row are one <functions> block, a line
// a tool. Blocks without text leave nothing.
Result<std::string> text_of_blocks(std::span<const Block> blocks, OfferedTools& tools);

// text_of_blocks(blocks_of(holder, name)).
Result<std::string> read_text(const Fields& holder, std::string_view name, OfferedTools& tools);

}  // namespace kvern::api
