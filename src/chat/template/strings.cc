#include "chat/template/strings.h"

#include <algorithm>

#include "chat/template/render_state.h"
#include "chat/template/to_json.h"

namespace kvern::chat {

jinja::string trusted_text(std::string text) { return {text, true}; }

jinja::value trusted_value(std::string text) { return mk_val<jinja::value_string>(trusted_text(std::move(text))); }

void append_text(jinja::string& to, const jinja::string& text) {
  for (const jinja::string_part& part : text.parts) {
    if (part.val.empty()) continue;
    if (!to.parts.empty() && to.parts.back().is_input == part.is_input) {
      to.parts.back().val += part.val;
    } else {
      to.parts.push_back(part);
    }
  }
}

jinja::string part_of(const jinja::string& text, std::size_t from, std::size_t to) {
  jinja::string result;
  std::size_t start = 0;
  for (const jinja::string_part& part : text.parts) {
    const std::size_t end = start + part.val.size();
    const std::size_t first = std::max(from, start);
    const std::size_t last = std::min(to, end);
    if (first < last) result.parts.push_back({part.is_input, part.val.substr(first - start, last - first)});
    start = end;
  }
  return result;
}

std::string number_text(const jinja::value_t& number) {
  const bool is_float = dynamic_cast<const jinja::value_float_t*>(&number) != nullptr;
  return is_float ? python_float(number.val_flt) : number.as_string().str();
}

jinja::string text_of(const jinja::value& value) {
  if (is_val<jinja::value_string>(value)) return value->val_str;
  if (value->is_none() || value->is_undefined()) return {};
  if (value->is_numeric()) return trusted_text(number_text(*value));
  RenderState::current().text_size(value);
  return value->as_string();
}

}  // namespace kvern::chat
