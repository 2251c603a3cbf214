#include "chat/dialect/probe_texts.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

// A tag, or one byte.
std::string_view first_piece(std::string_view text) {
  const std::string_view tag = first_tag(text);
  return tag.empty() ? text.substr(0, 1) : tag;
}

std::vector<std::string_view> pieces(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    out.push_back(first_piece(text));
    text.remove_prefix(out.back().size());
  }
  return out;
}

std::string without_ids(std::string text) {
  for (const ToolCall& call : probe_calls(true))
    for (std::size_t at = text.find(call.id); at != std::string::npos; at = text.find(call.id, at + 1))
      text.replace(at, call.id.size(), 1, kIdPlace);
  return text;
}

std::string_view behind_question(std::string_view text) {
  const std::size_t at = text.find(kProbeQuestion);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + kProbeQuestion.size());
}

}  // namespace

std::string_view first_tag(std::string_view text) {
  if (text.starts_with('<')) {
    const std::size_t end = text.find_first_of("<>\n", 1);
    if (end == std::string_view::npos) return text.size() > 1 ? text : std::string_view();
    return text[end] == '>' && end > 1 ? text.substr(0, end + 1) : std::string_view();
  }
  if (!text.starts_with('[')) return {};
  std::size_t end = 1;
  while (end < text.size() &&
         (std::isupper(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_' || text[end] == '/'))
    ++end;
  return end > 1 && end < text.size() && text[end] == ']' ? text.substr(0, end + 1) : std::string_view();
}

std::size_t common_beginning(std::string_view a, std::string_view b) {
  std::size_t length = 0;
  while (length < a.size() && length < b.size()) {
    const std::string_view piece = first_piece(a.substr(length));
    if (piece != first_piece(b.substr(length))) break;
    length += piece.size();
  }
  return length;
}

std::size_t common_end(std::string_view a, std::string_view b) {
  const auto pieces_a = pieces(a);
  const auto pieces_b = pieces(b);
  std::size_t length = 0;
  for (auto x = pieces_a.rbegin(), y = pieces_b.rbegin(); x != pieces_a.rend() && y != pieces_b.rend() && *x == *y;
       ++x, ++y)
    length += x->size();
  return length;
}

std::optional<ShownCalls> shown_calls(const CallProbe& probe, std::string_view with) {
  const std::string_view plain = probe.plain;
  if (plain.empty() || with.empty()) return std::nullopt;
  const std::size_t end = common_end(plain, with);
  const std::size_t begin = common_beginning(plain.substr(0, plain.size() - end), with.substr(0, with.size() - end));
  std::string_view calls = with.substr(begin, with.size() - end - begin);
  std::string_view replaced = plain.substr(begin, plain.size() - end - begin);
  std::string_view behind = with.substr(with.size() - end);
  // Some templates leave text out beside calls.
  if (replaced.starts_with(kProbeText)) replaced.remove_prefix(kProbeText.size());
  if (!replaced.empty()) {
    // A turn of calls may end with a token of its own.
    const auto last = pieces(calls);
    if (first_tag(replaced) != replaced || last.empty() || first_tag(last.back()) != last.back()) return std::nullopt;
    calls.remove_suffix(last.back().size());
    behind = with.substr(with.size() - end - last.back().size());
  }
  ShownCalls shown;
  const std::size_t lead = calls.find_first_not_of(kJsonSpace);
  if (lead == std::string_view::npos) return std::nullopt;
  std::string_view ahead = behind_question(with.substr(0, begin));
  if (ahead.ends_with(kProbeText)) {
    ahead.remove_suffix(kProbeText.size());
    shown.separator = calls.substr(0, lead);
  }
  shown.ahead = ahead;
  shown.calls = without_ids(std::string(calls.substr(lead)));
  shown.behind = behind;
  return shown;
}

bool turn_is_bare(const CallProbe& probe, const ShownCalls& shown) {
  const std::string_view header = behind_question(probe.asked);
  const auto is_reasoning = [](std::string_view text) {
    text = trimmed(text);
    return text.empty() || text.find("think") != std::string_view::npos || text.find("THINK") != std::string_view::npos;
  };
  // The prompt may open a block of reasoning, and history may show one that is over.
  const auto is_bare = [&](std::string_view ahead) {
    const std::size_t same = common_beginning(header, ahead);
    return same == ahead.size() || (is_reasoning(header.substr(same)) && is_reasoning(ahead.substr(same)));
  };
  const std::string_view plain = behind_question(probe.plain);
  const std::size_t text = plain.find(kProbeText);
  return is_bare(shown.ahead) && (text == std::string_view::npos || is_bare(plain.substr(0, text)));
}

bool has_common_tag(std::string_view text, const CallProbe& probe) {
  for (; !text.empty(); text.remove_prefix(first_piece(text).size())) {
    const std::string_view tag = first_tag(text);
    if (tag.empty()) continue;
    for (const std::string_view other : {behind_question(probe.plain), behind_question(probe.asked)})
      if (other.find(tag) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace kvern::chat
