#include "chat/template/to_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/utf8.h"
#include "chat/template/python_text.h"
#include "chat/template/render_state.h"
#include "chat/template/strings.h"

namespace kvern::chat {
namespace {

void append_utf16(std::string& out, std::uint32_t unit) { fmt::format_to(std::back_inserter(out), "\\u{:04x}", unit); }

// Escapes the character at text[at] as ASCII and returns its length.
std::size_t append_ascii(std::string& out, std::string_view text) {
  const std::size_t length = utf8_sequence_length(text);
  if (length == 0) {
    append_utf16(out, 0xFFFD);
    return 1;
  }
  std::uint32_t point = code_point(text.substr(0, length));
  if (point > 0xFFFF) {
    point -= 0x10000;
    append_utf16(out, 0xD800 + (point >> 10));
    point = 0xDC00 + (point & 0x3FF);
  }
  append_utf16(out, point);
  return length;
}

// What needs no escape.
std::size_t plain_prefix(std::string_view text) {
  const auto is_plain = [](char c) { return c >= ' ' && c < 0x7F && c != '"' && c != '\\'; };
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
}

void append_quoted(std::string& out, std::string_view text, bool ascii) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (const std::size_t plain = plain_prefix(text.substr(i)); plain > 0) {
      out += text.substr(i, plain);
      i += plain;
      continue;
    }
    if (ascii && static_cast<unsigned char>(c) >= 0x80) {
      i += append_ascii(out, text.substr(i));
      continue;
    }
    ++i;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          append_utf16(out, static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

// json.dumps has names of its own for what is no number.
std::string json_number(const jinja::value_t& number) {
  if (std::isnan(number.val_flt)) return "NaN";
  if (std::isinf(number.val_flt) && dynamic_cast<const jinja::value_float_t*>(&number) != nullptr)
    return number.val_flt < 0 ? "-Infinity" : "Infinity";
  return number_text(number);
}

class JsonWriter {
 public:
  explicit JsonWriter(const JsonLayout& layout) : layout_(layout) {}

  void write(const jinja::value& value) {
    if (is_val<jinja::value_string>(value)) {
      append_quoted(out_, value->val_str.str(), layout_.ascii);
    } else if (is_val<jinja::value_bool>(value)) {
      out_ += value->as_bool() ? "true" : "false";
    } else if (value->is_numeric()) {
      out_ += json_number(*value);
    } else if (is_val<jinja::value_array>(value)) {
      write_items('[', ']', value->val_arr, [this](const jinja::value& item) { write(item); });
    } else if (is_val<jinja::value_object>(value)) {
      write_items('{', '}', members(*value), [this](const auto& member) {
        write_key(member.first);
        out_ += layout_.key_separator;
        write(member.second);
      });
    } else {
      out_ += "null";
    }
    RenderState::current().check_size(out_.size());
  }

  std::string take() { return std::move(out_); }

 private:
  using Members = std::vector<std::pair<jinja::value, jinja::value>>;

  Members members(const jinja::value_t& object) const {
    Members members = object.val_obj;
    if (layout_.sort_keys) {
      std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
        return a.first->as_string().str() < b.first->as_string().str();
      });
    }
    return members;
  }

  void write_key(const jinja::value& key) {
    if (is_val<jinja::value_string>(key)) {
      write(key);
      return;
    }
    out_ += '"';
    write(key);
    out_ += '"';
  }

  template <typename Items, typename WriteItem>
  void write_items(char open, char close, const Items& items, WriteItem write_item) {
    RenderState::current().step(items.size() / 16);
    out_ += open;
    if (items.empty()) {
      out_ += close;
      return;
    }
    ++level_;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += layout_.item_separator;
      first = false;
      break_line();
      write_item(item);
    }
    --level_;
    break_line();
    out_ += close;
  }

  void break_line() {
    if (layout_.indent < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(layout_.indent) * level_, ' ');
  }

  const JsonLayout& layout_;
  std::string out_;
  std::size_t level_ = 0;
};

}  // namespace

std::string value_to_json_text(const jinja::value& value, const JsonLayout& layout) {
  JsonWriter writer(layout);
  writer.write(value);
  return writer.take();
}

}  // namespace kvern::chat
