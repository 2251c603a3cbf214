// Arguments as Gemma's objects: bare keys in dictsort's order, strings raw between marks of their own.
#include "chat/dialect/arguments/object.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/arguments/json_cursor.h"
#include "chat/dialect/arguments/literal_reader.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

std::string written(const Dialect& dialect, JsonCursor& json);

std::string written_text(const Dialect& dialect, const std::string& text) {
  return std::string(dialect.quote) + text + std::string(dialect.quote);
}

std::string written_object(const Dialect& dialect, JsonCursor& json) {
  std::vector<std::pair<std::string, std::string>> members;
  json.take('{');
  while (!json.take('}')) {
    json.take(',');
    std::string key = json.take_text();
    json.take(':');
    members.emplace_back(std::move(key), written(dialect, json));
  }
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return sorts_before(a.first, b.first); });
  std::string out = "{";
  for (const auto& [key, value] : members) out += (out.size() > 1 ? "," : "") + key + ":" + value;
  return out + "}";
}

std::string written(const Dialect& dialect, JsonCursor& json) {
  switch (json.peek()) {
    case '"': return written_text(dialect, json.take_text());
    case '{': return written_object(dialect, json);
    case '[': break;
    default: {
      const std::string_view word = json.take_scalar();
      return std::string(word == "null" ? "None" : word);
    }
  }
  std::string out = "[";
  json.take('[');
  while (!json.take(']')) {
    if (json.take(',')) out += ",";
    out += written(dialect, json);
  }
  return out + "]";
}

void render_object(std::string& out, const Dialect& dialect, std::string_view arguments) {
  if (split_object(arguments)) {
    JsonCursor json(arguments);
    out += written(dialect, json);
  } else {
    // A client may send what a model never could; it is shown rather than lost.
    out.append("{").append(arguments).append("}");
  }
}

}  // namespace

bool sorts_before(std::string_view left, std::string_view right) {
  return std::lexicographical_compare(
      left.begin(), left.end(), right.begin(), right.end(),
      [](unsigned char a, unsigned char b) { return std::tolower(a) < std::tolower(b); });
}

const ArgumentCodec kObjectCodec = {
    object_grammar, [](const Dialect& dialect) { return make_literal_reader(dialect, LiteralForm::object); },
    render_object};

}  // namespace kvern::chat
