// Arguments as a tree of elements: strings raw, numbers and words as in JSON, null left out of objects.
#include "chat/dialect/arguments/elements.h"

#include <nlohmann/json.hpp>

#include "chat/dialect/arguments/json_cursor.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

void append_value(std::string& out, const Dialect& dialect, JsonCursor& json);

void append_element(std::string& out, const Dialect& dialect, const std::string& name, JsonCursor& json) {
  out.append(dialect.parameter_begin).append("<").append(name).append(">");
  append_value(out, dialect, json);
  out.append(dialect.parameter_begin).append("</").append(name).append(">");
}

void append_members(std::string& out, const Dialect& dialect, JsonCursor& json) {
  json.take('{');
  while (!json.take('}')) {
    json.take(',');
    const std::string key = json.take_text();
    json.take(':');
    if (json.peek() == 'n') {
      json.take_scalar();
    } else {
      append_element(out, dialect, key, json);
    }
  }
}

void append_value(std::string& out, const Dialect& dialect, JsonCursor& json) {
  switch (json.peek()) {
    case '"': out += json.take_text(); return;
    case '{': append_members(out, dialect, json); return;
    case '[': break;
    default: {
      const std::string_view word = json.take_scalar();
      if (word != "null") out += word;
      return;
    }
  }
  json.take('[');
  while (!json.take(']')) {
    json.take(',');
    append_element(out, dialect, kItemElement, json);
  }
}

void render_elements(std::string& out, const Dialect& dialect, std::string_view arguments) {
  if (split_object(arguments)) {
    JsonCursor json(arguments);
    append_members(out, dialect, json);
  } else if (!trimmed(arguments).empty()) {
    // A client may send what a model never could; it is shown rather than lost.
    out.append(dialect.parameter_begin).append("<arguments>").append(arguments);
    out.append(dialect.parameter_begin).append("</arguments>");
  }
}

}  // namespace

const ArgumentCodec kElementsCodec = {elements_grammar, make_elements_reader, render_elements};

}  // namespace kvern::chat
