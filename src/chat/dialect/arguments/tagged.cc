// Arguments as one element a parameter: strings raw, everything else as it stands in the JSON text but
// for its spacing.
#include "chat/dialect/arguments/tagged.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/parameter_types.h"

namespace kvern::chat {
namespace {

std::string_view type_word(const Dialect& dialect, std::string_view value) {
  const bool text = value.starts_with('"');
  if (dialect.type_word == TypeWord::is_string) return text ? "true" : "false";
  if (text) return "string";
  if (value.starts_with('{')) return "object";
  if (value.starts_with('[')) return "array";
  if (value == "null") return "null";
  return value == "true" || value == "false" ? "boolean" : "number";
}

void append(std::string& out, const Dialect& dialect, std::string_view key, std::string_view word,
            std::string_view value) {
  out += dialect.parameter_begin;
  out += key;
  if (dialect.type_word != TypeWord::none) {
    out += dialect.type_begin;
    out += word;
  }
  out += dialect.parameter_name_end;
  out += value;
  out += dialect.parameter_end;
}

void render_tagged(std::string& out, const Dialect& dialect, std::string_view arguments) {
  const auto members = split_object(arguments);
  if (!members) {
    // A client may send what a model never could; it is shown rather than lost.
    const bool none = trimmed(arguments).empty();
    if (none) out += dialect.no_parameters;
    if (!none) append(out, dialect, "arguments", type_word(dialect, "\""), arguments);
    return;
  }
  if (members->empty()) out += dialect.no_parameters;
  for (const JsonMember& member : *members) {
    const std::string_view word = type_word(dialect, member.value);
    if (member.value.starts_with('"')) {
      const auto text = parse_json(member.value);
      append(out, dialect, member.key, word, text ? text->get<std::string>() : std::string(member.value));
    } else {
      append(out, dialect, member.key, word, respaced(member.value, dialect.item_separator, dialect.key_separator));
    }
  }
}

}  // namespace

const ArgumentCodec kTaggedCodec = {tagged_grammar, make_tagged_reader, render_tagged};

}  // namespace kvern::chat
