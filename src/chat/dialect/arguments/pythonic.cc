// Arguments as Python's keyword arguments.
#include "chat/dialect/arguments/pythonic.h"

#include <fmt/format.h>

#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/arguments/json_cursor.h"
#include "chat/dialect/arguments/literal_reader.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

std::string_view python_word(std::string_view json) {
  if (json == "true") return "True";
  if (json == "false") return "False";
  return json == "null" ? "None" : json;
}

void append_value(std::string& out, JsonCursor& json) {
  const char next = json.peek();
  if (next == '"') {
    out += python_text(json.take_text(), '\'');
  } else if (next == '{' || next == '[') {
    const char close = next == '{' ? '}' : ']';
    out += next;
    json.take(next);
    for (bool first = true; !json.take(close); first = false) {
      if (!first) json.take(',');
      if (!first) out += ", ";
      if (next == '{') {
        out += python_text(json.take_text(), '\'');
        out += ": ";
        json.take(':');
      }
      append_value(out, json);
    }
    out += close;
  } else {
    out += python_word(json.take_scalar());
  }
}

// An object that is a parameter's whole value is JSON, as LFM's template writes it.
void render_pythonic(std::string& out, const Dialect& dialect, std::string_view arguments) {
  const auto members = split_object(arguments);
  if (!members) {
    // A client may send what a model never could; it is shown rather than lost.
    out += arguments;
    return;
  }
  for (std::size_t i = 0; i < members->size(); ++i) {
    const JsonMember& member = (*members)[i];
    if (i > 0) out += dialect.item_separator;
    out.append(member.key).append("=");
    if (dialect.quote == "\"" || member.value.starts_with('{')) {
      out += respaced(member.value, ", ", ": ");
    } else {
      JsonCursor json(member.value);
      append_value(out, json);
    }
  }
}

}  // namespace

bool is_pythonic_key(std::string_view name) {
  return !name.empty() && name.find_first_of("=,:()[]{}'\"\\ \t\r\n") == std::string_view::npos;
}

std::string python_text(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + quote;
}

const ArgumentCodec kPythonicCodec = {pythonic_grammar,
                                      [](const Dialect& dialect) {
                                        return make_literal_reader(dialect, dialect.quote == "\""
                                                                                ? LiteralForm::keywords_of_json
                                                                                : LiteralForm::keywords);
                                      },
                                      render_pythonic};

}  // namespace kvern::chat
