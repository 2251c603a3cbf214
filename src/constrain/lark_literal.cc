#include "base/json_text.h"
#include "constrain/schema.h"

namespace kvern::constrain {

// Lark strings take JSON's escapes, with one difference: DEL must be escaped too. They are Unicode
// text, so a byte that is not UTF-8 becomes U+FFFD.
std::string lark_literal(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '\x7F') {
      out += "\\u007f";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace kvern::constrain
