#include "base/json_outline.h"

#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/limits.h"

namespace kvern {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

// The first quote or backslash at or after `at`, or the text's end. Most of a conversation is within strings:
// eight bytes at a time.
std::size_t end_of_plain(std::string_view text, std::size_t at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  const auto places_of = [](std::uint64_t word, char c) {
    const std::uint64_t zero_there = word ^ (kOnes * static_cast<unsigned char>(c));
    return (zero_there - kOnes) & ~zero_there & kHigh;  // the lowest place is exact
  };
  if constexpr (std::endian::native == std::endian::little) {
    for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + at, sizeof word);
      const std::uint64_t places = places_of(word, '"') | places_of(word, '\\');
      if (places != 0) return at + static_cast<std::size_t>(std::countr_zero(places)) / 8;
    }
  }
  while (at < text.size() && text[at] != '"' && text[at] != '\\') ++at;
  return at;
}

bool is_mark(char c) { return c == '{' || c == '}' || c == '[' || c == ']' || c == ':' || c == ','; }

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Goes from one bracket, colon or comma outside of strings to the next, and sees to the limits.
class Marks {
 public:
  explicit Marks(std::string_view text) : text_(text) {}

  // False at the text's end and where a limit is reached.
  bool next() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        skip_string();
      } else if (is_mark(c)) {
        mark_ = at_++;
        return count(c);
      } else {
        ++at_;
      }
    }
    return false;
  }

  char mark() const { return text_[mark_]; }
  std::size_t place() const { return mark_; }
  std::size_t depth() const { return keys_.size(); }  // behind the mark
  std::string_view last_string() const { return string_; }
  Status limit() const {
    if (keys_.size() > limits::kJsonDepth)
      return fail(Code::invalid, fmt::format("the JSON is nested deeper than {} levels", limits::kJsonDepth));
    if (!keys_.empty() && keys_.back() > limits::kJsonObjectKeys)
      return fail(Code::invalid, fmt::format("a JSON object has more than {} keys", limits::kJsonObjectKeys));
    return {};
  }

 private:
  void skip_string() {
    const std::size_t begin = ++at_;
    while ((at_ = end_of_plain(text_, at_)) < text_.size() && text_[at_] == '\\') at_ += 2;
    at_ = std::min(at_, text_.size());
    string_ = text_.substr(begin, at_ - begin);
    ++at_;
  }

  bool count(char c) {
    if (c == '{' || c == '[') {
      keys_.push_back(0);
      return keys_.size() <= limits::kJsonDepth;
    }
    if ((c == '}' || c == ']') && !keys_.empty()) keys_.pop_back();
    return c != ':' || keys_.empty() || ++keys_.back() <= limits::kJsonObjectKeys;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::size_t mark_ = 0;
  std::string_view string_;
  std::vector<std::size_t> keys_;  // of each open bracket
};

}  // namespace

Status check_json_shape(std::string_view text) {
  Marks marks(text);
  while (marks.next()) {
  }
  return marks.limit();
}

std::optional<std::vector<JsonMember>> outline_of(std::string_view text, std::size_t items_max) {
  Marks marks(text);
  if (!marks.next() || marks.mark() != '{' || !trimmed(text.substr(0, marks.place())).empty()) return std::nullopt;
  std::vector<JsonMember> members;
  std::string_view name;
  std::size_t value = kNone;  // where the open member's begins
  std::size_t item = kNone;   // and that of an open item of it
  std::vector<std::string_view> items;
  while (marks.depth() > 0 && marks.next()) {
    const char mark = marks.mark();
    const std::size_t here = marks.place();
    if (marks.depth() == 1 && mark == ':') {
      name = marks.last_string();
      value = here + 1;
    } else if (marks.depth() == 2 && mark == '[') {
      item = here + 1;
    } else if ((marks.depth() == 2 && mark == ',') || (marks.depth() == 1 && mark == ']')) {
      if (item == kNone) continue;
      items.push_back(trimmed(text.substr(item, here - item)));
      const bool counts = items.back().starts_with('{') && items.size() <= items_max;
      if (!counts) items.clear();
      item = counts && mark == ',' ? here + 1 : kNone;
    } else if ((marks.depth() == 1 && mark == ',') || (marks.depth() == 0 && mark == '}')) {
      if (value != kNone) members.push_back({name, trimmed(text.substr(value, here - value)), std::move(items)});
      items.clear();
      value = kNone;
    }
  }
  if (marks.depth() > 0) return std::nullopt;  // not closed, or over a limit
  return members;
}

}  // namespace kvern
