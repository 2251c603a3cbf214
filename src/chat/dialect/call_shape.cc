#include "chat/dialect/call_shape.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "chat/dialect/json_scan.h"
#include "chat/dialect/probe_texts.h"

namespace kvern::chat {
namespace {

constexpr std::string_view kName = "kv_probe";
constexpr std::string_view kOtherName = "kv_other";
constexpr std::string_view kTextKey = "kv_text";
constexpr std::string_view kText = "kv words";
constexpr std::string_view kCountKey = "kv_count";
constexpr std::string_view kCount = "41";

// Cuts text at the first word: what stood before it goes to `before`. False when there is none.
bool cut(std::string_view& text, std::string_view word, std::string& before) {
  const std::size_t at = text.find(word);
  if (at == std::string_view::npos) return false;
  before = text.substr(0, at);
  text.remove_prefix(at + word.size());
  return true;
}

// The texts around the first call's name and arguments, in the order in which they come.
struct FirstCall {
  std::string lead;
  std::string behind_name;
  std::string behind_text_key;
  std::string behind_text;
  std::string behind_count_key;
  std::string rest;  // behind the last value
};

std::optional<FirstCall> first_call(std::string_view text) {
  FirstCall call;
  const bool found = cut(text, kName, call.lead) && cut(text, kTextKey, call.behind_name) &&
                     cut(text, kText, call.behind_text_key) && cut(text, kCountKey, call.behind_text) &&
                     cut(text, kCount, call.behind_count_key);
  // A name that is written twice is more than a record can say.
  if (!found || text.find(kName) != std::string_view::npos) return std::nullopt;
  call.rest = text;
  return call;
}

// What is behind the arguments of one call alone, and of two calls.
struct Ends {
  std::string one;                  // up to the end
  std::string gap;                  // up to the second name
  std::string other_name;           // behind it
  std::optional<std::string> last;  // JSON: behind its arguments
};

// Lets go of the arguments' own texts; what is left is around arguments. A JSON object first.
bool take_json(CallShape& shape, FirstCall& call, Ends& ends) {
  std::string_view begin = call.behind_name;
  if (!begin.ends_with("{\"") || !ends.one.starts_with('}')) return false;
  std::string_view key = call.behind_text_key;
  std::string_view item = call.behind_text;
  if (key.size() < 3 || !key.starts_with("\":") || !key.ends_with('"') || item.size() < 3 || !item.starts_with("\",") ||
      !item.ends_with('"'))
    return false;
  shape.key_separator = key.substr(1, key.size() - 2);
  shape.item_separator = item.substr(1, item.size() - 2);
  if (call.behind_count_key != "\"" + shape.key_separator) return false;
  if (!trimmed(std::string_view(shape.key_separator).substr(1)).empty()) return false;
  if (!trimmed(std::string_view(shape.item_separator).substr(1)).empty()) return false;
  call.behind_name.resize(begin.size() - 2);
  ends.one.erase(0, 1);
  if (!ends.gap.empty()) {
    if (!ends.gap.starts_with('}')) return false;
    ends.gap.erase(0, 1);
    std::string_view other = ends.other_name;
    std::string before;
    if (!cut(other, "{}", before)) return false;
    ends.last = std::string(other);
    ends.other_name = before;
  }
  shape.style = ArgumentStyle::json;
  return true;
}

// Between a key and its value: the same for both, but for a word that says the type.
bool take_type(CallShape& shape, const FirstCall& call) {
  const std::string& text = call.behind_text_key;
  const std::string& count = call.behind_count_key;
  shape.parameter_name_end = text;
  if (text == count) return true;
  struct Words {
    TypeWord kind;
    std::string_view text;
    std::string_view count;
  };
  constexpr std::array<Words, 2> kWords = {
      {{TypeWord::is_string, "true", "false"}, {TypeWord::json_type, "string", "number"}}};
  for (const Words& words : kWords) {
    const std::size_t at = text.find(words.text);
    if (at == std::string::npos) continue;
    shape.type_word = words.kind;
    shape.type_begin = text.substr(0, at);
    shape.parameter_name_end = text.substr(at + words.text.size());
    if (trimmed(shape.type_begin).empty() || trimmed(shape.parameter_name_end).empty()) continue;
    if (count == shape.type_begin + std::string(words.count) + shape.parameter_name_end) return true;
  }
  return false;
}

// One element a parameter. Between two of them stands the end of one and the beginning of the next;
// where it is cut shows before the first and behind the last.
bool take_tagged(CallShape& shape, FirstCall& call, Ends& ends) {
  const std::string_view between = call.behind_text;
  if (ends.gap.empty() || !take_type(shape, call)) return false;
  for (std::size_t at = between.size(); at-- > 1;) {
    const std::string_view end = between.substr(0, at);
    const std::string_view begin = between.substr(at);
    if ((begin.front() != '<' && begin.front() != '[') || !call.behind_name.ends_with(begin)) continue;
    if (!ends.one.starts_with(end) || !ends.gap.starts_with(end) || trimmed(end).empty()) continue;
    const std::string name_end = call.behind_name.substr(0, call.behind_name.size() - begin.size());
    const std::string last = ends.one.substr(end.size());
    // A call without parameters must look like one with them.
    if (ends.other_name != name_end + last) continue;
    shape.parameter_begin = begin;
    shape.parameter_end = end;
    call.behind_name = name_end;
    ends.one = last;
    ends.gap.erase(0, end.size());
    ends.other_name = name_end;
    shape.style = ArgumentStyle::tagged;
    return true;
  }
  return false;
}

std::size_t digits_at(std::string_view text, std::size_t at) {
  std::size_t length = 0;
  while (at + length < text.size() && std::isdigit(static_cast<unsigned char>(text[at + length])) != 0) ++length;
  return length;
}

// Where a and b are the same but for two numbers in succession, those become places of an id.
bool take_numbers(CallShape& shape, std::string& a, std::string& b, std::size_t at_a, std::size_t at_b) {
  const std::size_t length_a = digits_at(a, at_a);
  const std::size_t length_b = digits_at(b, at_b);
  if (length_a == 0 || length_a > 4 || length_b == 0 || length_b > 4) return false;
  const int first = std::stoi(a.substr(at_a, length_a));
  if (std::stoi(b.substr(at_b, length_b)) != first + 1) return false;
  shape.id_form = IdForm::number;
  shape.id_first = first;
  a.replace(at_a, length_a, 1, kIdPlace);
  b.replace(at_b, length_b, 1, kIdPlace);
  return true;
}

// Numbers before the names: those of the lead and of the gap, looked for from their ends.
void take_numbers_ahead(CallShape& shape, std::string& lead, std::string& gap) {
  const auto differ = std::mismatch(lead.rbegin(), lead.rend(), gap.rbegin(), gap.rend());
  const auto same = static_cast<std::size_t>(differ.first - lead.rbegin());
  const auto start = [same](const std::string& text) {
    std::size_t at = text.size() - same;
    while (at > 0 && std::isdigit(static_cast<unsigned char>(text[at - 1])) != 0) --at;
    return at;
  };
  take_numbers(shape, lead, gap, start(lead), start(gap));
}

bool take_numbers_behind(CallShape& shape, std::string& first, std::string& second) {
  if (first == second) return true;
  const auto differ = std::mismatch(first.begin(), first.end(), second.begin(), second.end());
  const auto at = static_cast<std::size_t>(differ.first - first.begin());
  return take_numbers(shape, first, second, at, at) && first == second;
}

bool has_id(std::string_view text) { return text.find(kIdPlace) != std::string_view::npos; }

// Cuts text at the place of the id: the first half goes to `before`, the other to `behind`.
bool take_id(CallShape& shape, IdPlace place, const std::string& text, std::string& before, std::string& behind) {
  const std::size_t at = text.find(kIdPlace);
  if (shape.id_place != IdPlace::none) return false;
  shape.id_place = place;
  const std::string rest = text.substr(at + 1);
  before = text.substr(0, at);
  behind = rest;
  return !has_id(behind);
}

bool take_ids(CallShape& shape) {
  if (has_id(shape.call_begin) &&
      !take_id(shape, IdPlace::before_name, shape.call_begin, shape.call_begin, shape.id_mark))
    return false;
  if (has_id(shape.name_end) && !take_id(shape, IdPlace::after_name, shape.name_end, shape.id_mark, shape.name_end))
    return false;
  if (has_id(shape.call_end) &&
      !take_id(shape, IdPlace::after_arguments, shape.call_end, shape.id_mark, shape.call_end))
    return false;
  const bool elsewhere = has_id(shape.section_begin) || has_id(shape.section_end) || has_id(shape.call_separator);
  return !elsewhere && (shape.id_place == IdPlace::none || !shape.id_mark.empty());
}

// What is common to the lead and the gap begins a call; what is common to the gap and the end ends one.
void split(CallShape& shape, const FirstCall& call, const Ends& ends) {
  shape.name_end = call.behind_name;
  if (ends.gap.empty()) {
    shape.parallel = false;
    shape.call_begin = call.lead;
    shape.call_end = ends.one;
    return;
  }
  std::size_t begin = call.lead.size() - common_end(call.lead, ends.gap);
  while (begin < call.lead.size() && kJsonSpace.find(call.lead[begin]) != std::string_view::npos) ++begin;
  shape.section_begin = call.lead.substr(0, begin);
  shape.call_begin = call.lead.substr(begin);
  const std::string gap = ends.gap.substr(0, ends.gap.size() - shape.call_begin.size());
  const std::size_t end = common_beginning(gap, ends.one);
  shape.call_end = gap.substr(0, end);
  shape.call_separator = gap.substr(end);
  shape.section_end = ends.one.substr(end);
}

}  // namespace

std::optional<CallShape> shape_of(std::string_view one, std::string_view two) {
  auto call = first_call(one);
  if (!call) return std::nullopt;
  Ends ends;
  ends.one = call->rest;
  const auto both = first_call(two);
  std::string_view rest = both ? std::string_view(both->rest) : std::string_view();
  if (cut(rest, kOtherName, ends.gap)) {
    ends.other_name = rest;
    const bool same = both->lead == call->lead && both->behind_name == call->behind_name;
    if (!same || ends.gap.empty() || rest.find(kOtherName) != std::string_view::npos) return std::nullopt;
  }
  CallShape shape;
  if (!take_json(shape, *call, ends) && !take_tagged(shape, *call, ends)) return std::nullopt;
  if (!ends.gap.empty()) {
    take_numbers_ahead(shape, call->lead, ends.gap);
    if (!take_numbers_behind(shape, call->behind_name, ends.other_name)) return std::nullopt;
  }
  split(shape, *call, ends);
  if (shape.call_begin.empty() || !take_ids(shape)) return std::nullopt;
  const bool open = shape.style == ArgumentStyle::tagged ? trimmed(shape.call_end).empty() : shape.name_end.empty();
  if (open) return std::nullopt;
  return shape;
}

}  // namespace kvern::chat
