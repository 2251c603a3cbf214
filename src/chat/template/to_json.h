// The tojson filter, byte for byte as Hugging Face's transformers and Python's json.dumps write it.
#pragma once

#include <compare>
#include <string>

#include "chat/template/engine.h"

namespace kvern::chat {

struct JsonLayout {
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  int indent = -1;  // -1: one line
  bool ascii = false;
  bool sort_keys = false;

  auto operator<=>(const JsonLayout&) const = default;
};

// Throws TemplateError when it becomes larger than a rendering may.
std::string value_to_json_text(const jinja::value& value, const JsonLayout& layout);

}  // namespace kvern::chat
