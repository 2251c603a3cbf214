#include "chat/template/python_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "chat/template/render_state.h"
#include "chat/template/strings.h"

namespace kvern::chat {
namespace {

// Characters that Python escapes though they are no ASCII: controls, spaces but the space itself,
// formatting characters, and what has no meaning of its own.
constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 14> kNotPrintable = {{
    {0x7F, 0xA0},
    {0xAD, 0xAD},
    {0x600, 0x605},
    {0x61C, 0x61C},
    {0x1680, 0x1680},
    {0x180E, 0x180E},
    {0x2000, 0x200F},
    {0x2028, 0x202F},
    {0x205F, 0x206F},
    {0x3000, 0x3000},
    {0xE000, 0xF8FF},
    {0xFEFF, 0xFEFF},
    {0xFFF9, 0xFFFB},
    {0xE0000, 0x10FFFF},
}};

bool is_printable(std::uint32_t point) {
  if (point < ' ') return false;
  for (const auto& [first, last] : kNotPrintable)
    if (point >= first && point <= last) return false;
  return true;
}

void append_escape(std::string& out, std::uint32_t point) {
  switch (point) {
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  if (point < 0x100) {
    out += fmt::format("\\x{:02x}", point);
  } else {
    out += point < 0x10000 ? fmt::format("\\u{:04x}", point) : fmt::format("\\U{:08x}", point);
  }
}

void append_quoted(std::string& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  const auto is_plain = [quote](char c) { return c >= ' ' && c < 0x7F && c != quote && c != '\\'; };
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::size_t length = std::max<std::size_t>(utf8_sequence_length(text), 1);
    const std::string_view character = text.substr(0, length);
    const std::uint32_t point = code_point(character);
    if (character == "\\" || character.front() == quote) {
      (out += '\\') += character;
    } else if (is_printable(point)) {
      out += character;
    } else {
      append_escape(out, point);
    }
    text.remove_prefix(length);
  }
  out += quote;
}

class Writer {
 public:
  void write(const jinja::value& value) {
    RenderState::current().check_size(out_.size());
    if (is_val<jinja::value_string>(value)) {
      append_quoted(out_, value->val_str.str());
    } else if (value->is_numeric()) {
      out_ += number_text(*value);
    } else if (is_val<jinja::value_array>(value)) {
      write_items(value);
    } else if (is_val<jinja::value_object>(value)) {
      write_members(value);
    } else {
      out_ += value->is_none() ? "None" : value->is_undefined() ? "Undefined" : value->type();
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void write_items(const jinja::value& value) {
    const bool is_tuple = is_val<jinja::value_tuple>(value);
    out_ += is_tuple ? '(' : '[';
    for (std::size_t i = 0; i < value->val_arr.size(); ++i) {
      if (i > 0) out_ += ", ";
      write(value->val_arr[i]);
    }
    if (is_tuple && value->val_arr.size() == 1) out_ += ',';
    out_ += is_tuple ? ')' : ']';
  }

  void write_members(const jinja::value& value) {
    out_ += '{';
    for (std::size_t i = 0; i < value->val_obj.size(); ++i) {
      if (i > 0) out_ += ", ";
      write(value->val_obj[i].first);
      out_ += ": ";
      write(value->val_obj[i].second);
    }
    out_ += '}';
  }

  std::string out_;
};

}  // namespace

std::string python_float(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string number_text(const jinja::value_t& number) {
  if (const auto* large = dynamic_cast<const LargeInteger*>(&number)) return large->text;
  const bool is_float = dynamic_cast<const jinja::value_float_t*>(&number) != nullptr;
  return is_float ? python_float(number.val_flt) : number.as_string().str();
}

std::string python_repr(const jinja::value& value) {
  Writer writer;
  writer.write(value);
  return writer.take();
}

}  // namespace kvern::chat
