#include "chat/template/strings.h"

#include <algorithm>

#include "base/utf8.h"
#include "chat/template/python_text.h"
#include "chat/template/render_state.h"

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

Characters::Characters(const std::string& text) : count_(text.size()) {
  constexpr std::size_t kBytesAStep = 32;
  if (std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) return;
  RenderState::current().step(text.size() / kBytesAStep);
  bounds_.reserve(text.size() + 1);
  for (std::size_t at = 0; at < text.size();) {
    bounds_.push_back(at);
    at += std::max<std::size_t>(utf8_sequence_length(std::string_view(text).substr(at)), 1);
  }
  count_ = bounds_.size();
  bounds_.push_back(text.size());
}

std::uint32_t code_point(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(sequence[i])); };
  switch (sequence.size()) {
    case 2: return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3: return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    case 4: return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    default: return byte(0);
  }
}

jinja::string text_of(const jinja::value& value) {
  if (is_val<jinja::value_string>(value)) return value->val_str;
  if (value->is_undefined()) return {};
  if (value->is_none()) return trusted_text("None");
  if (value->is_numeric()) return trusted_text(number_text(*value));
  RenderState::current().text_size(value);
  return python_repr(value);
}

}  // namespace kvern::chat
