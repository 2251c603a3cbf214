// The words and escape sequences of Python's literals.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

#include "base/utf8.h"
#include "chat/dialect/arguments/literal_reader.h"

namespace kvern::chat {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_json_number(std::string_view text) {
  const auto digits = [&text] {
    const std::size_t before = text.size();
    while (!text.empty() && is_digit(text.front())) text.remove_prefix(1);
    return before > text.size();
  };
  const auto take = [&text](std::string_view any) {
    const bool found = !text.empty() && any.find(text.front()) != std::string_view::npos;
    if (found) text.remove_prefix(1);
    return found;
  };
  take("-");
  if (!take("0") && !digits()) return false;
  if (take(".") && !digits()) return false;
  if (take("eE")) {
    take("+-");
    if (!digits()) return false;
  }
  return text.empty();
}

// 0x1F, 0o17, 0b1: nullopt when it is none of them, or does not fit 64 bits.
std::optional<std::string> based_number(std::string_view digits) {
  if (digits.size() < 3 || digits[0] != '0') return std::nullopt;
  const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(digits[1])));
  const int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
  if (base == 0) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data() + 2, digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return std::to_string(value);
}

// Python's number: underscores, a plus, missing or needless zeros.
std::optional<std::string> python_number(std::string_view word) {
  std::string sign;
  if (!word.empty() && (word.front() == '-' || word.front() == '+')) {
    if (word.front() == '-') sign = "-";
    word.remove_prefix(1);
  }
  if (word == "inf" || word == "nan") return "null";  // JSON has no such number
  std::string digits(word);
  std::erase(digits, '_');
  if (const auto based = based_number(digits)) return sign + *based;
  if (digits.starts_with('.')) digits.insert(0, "0");
  if (const std::size_t dot = digits.find('.'); dot != std::string::npos && !is_digit(digits.c_str()[dot + 1]))
    digits.insert(dot + 1, "0");
  const std::size_t zeros = std::min(digits.find_first_not_of('0'), digits.size());
  if (zeros > 0) digits.erase(0, zeros < digits.size() && is_digit(digits[zeros]) ? zeros : zeros - 1);
  if (!is_json_number(digits)) return std::nullopt;
  return sign + digits;
}

// The number that `digits` characters from text[at] on are; nullopt when they are not all digits.
std::optional<std::uint32_t> code_at(std::string_view text, std::size_t at, std::size_t digits, int base) {
  if (text.size() < at + digits) return std::nullopt;
  std::uint32_t value = 0;
  const char* const begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, begin + digits, value, base);
  if (error != std::errc() || end != begin + digits) return std::nullopt;
  return value;
}

Escape hex_escape(std::string_view text, std::size_t digits) {
  Escape out{2 + digits, {}};
  const auto code = code_at(text, 2, digits, 16);
  if (!code) return {2, std::string(text.substr(0, 2))};
  // Models write characters beyond the first plane as JSON does.
  const bool high = digits == 4 && *code >= 0xD800 && *code < 0xDC00;
  const auto low = high && text.substr(6).starts_with("\\u") ? code_at(text, 8, 4, 16) : std::nullopt;
  if (low && *low >= 0xDC00 && *low < 0xE000) {
    out.length = 12;
    append_utf8(out.text, 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00));
  } else {
    append_utf8(out.text, *code);
  }
  return out;
}

// Characters an escape sequence may be long, which is how far one must see.
std::size_t longest(std::string_view text) {
  switch (text[1]) {
    case 'x': return 4;
    case 'U': return 10;
    case 'u': return text.size() >= 7 && text[6] != '\\' ? 6 : 12;
    default: return is_digit(text[1]) ? 4 : 2;
  }
}

}  // namespace

std::optional<std::string> word_as_json(std::string_view word) {
  if (is_json_number(word)) return std::string(word);
  if (word == "True" || word == "true") return "true";
  if (word == "False" || word == "false") return "false";
  if (word == "None" || word == "null") return "null";
  return python_number(word);
}

Escape read_python_escape(std::string_view text, bool last) {
  if (text.size() < 2) return {};
  if (text.size() < longest(text) && !last) return {};
  const char kind = text[1];
  constexpr std::string_view kLetters = "abfnrtv\\'\"\n";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
  if (kind == '\n') return {2, {}};
  if (const std::size_t found = kLetters.find(kind); found != std::string_view::npos)
    return {2, std::string(1, kMeanings[found])};
  if (kind == 'x') return hex_escape(text, 2);
  if (kind == 'u') return hex_escape(text, 4);
  if (kind == 'U') return hex_escape(text, 8);
  if (kind >= '0' && kind <= '7') {
    std::size_t digits = 1;
    while (digits < 3 && digits + 1 < text.size() && text[digits + 1] >= '0' && text[digits + 1] <= '7') ++digits;
    Escape out{1 + digits, {}};
    append_utf8(out.text, code_at(text, 1, digits, 8).value_or(0));
    return out;
  }
  // Python keeps what it does not know. The character itself may be longer than a byte.
  return {1, "\\"};
}

}  // namespace kvern::chat
