#include "chat/dialect/lark_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "chat/dialect/dialect.h"
#include "constrain/schema.h"

namespace kvern::chat {

std::string control_token(std::string_view marker, const Vocab& vocab) {
  const TokenId token = vocab.find(marker);
  return token >= 0 && vocab.is_control(token) ? fmt::format("<[{}]>", token) : std::string();
}

namespace {

constexpr std::string_view kOpens = "<[]";
constexpr std::string_view kCloses = ">[]";

struct Marker {
  std::size_t begin = 0;
  std::size_t size = 0;
  TokenId token = -1;
};

// The control tokens in text, from the left, the longest at each place. Names of control tokens begin
// and end with a bracket, which keeps this from looking every substring up.
std::vector<Marker> markers_in(std::string_view text, const Vocab& vocab) {
  std::vector<Marker> markers;
  for (std::size_t begin = text.find_first_of(kOpens); begin != std::string_view::npos;) {
    std::size_t next = begin + 1;
    for (std::size_t last = text.find_last_of(kCloses); last != std::string_view::npos && last > begin;
         last = text.find_last_of(kCloses, last - 1)) {
      const TokenId token = vocab.find(text.substr(begin, last + 1 - begin));
      if (token < 0 || !vocab.is_control(token)) continue;
      markers.push_back({begin, last + 1 - begin, token});
      next = last + 1;
      break;
    }
    begin = text.find_first_of(kOpens, next);
  }
  return markers;
}

}  // namespace

std::string_view id_expression(IdForm form) {
  switch (form) {
    case IdForm::nine: return "/[A-Za-z0-9]{9}/";
    case IdForm::word: return "/[A-Za-z0-9_\\-]{1,64}/";
    case IdForm::number: break;
  }
  return "/[0-9]{1,4}/";
}

std::vector<TokenId> marker_tokens(const Dialect& dialect, const Vocab& vocab) {
  std::vector<std::string_view> texts = {
      dialect.trigger,      dialect.section_begin,      dialect.section_end,   dialect.call_begin,
      dialect.name_end,     dialect.call_end,           dialect.id_mark,       dialect.parameter_begin,
      dialect.type_begin,   dialect.parameter_name_end, dialect.parameter_end, dialect.quote,
      dialect.text_begin,   dialect.text_end,           dialect.turn_end,      dialect.reasoning_begin,
      dialect.reasoning_end};
  texts.insert(texts.end(), dialect.other_begins.begin(), dialect.other_begins.end());
  std::vector<TokenId> tokens;
  for (const std::string_view text : texts) {
    for (const Marker& marker : markers_in(text, vocab)) {
      if (vocab.ends_generation(marker.token)) continue;
      if (std::find(tokens.begin(), tokens.end(), marker.token) == tokens.end()) tokens.push_back(marker.token);
    }
  }
  return tokens;
}

bool begins_with_control(std::string_view marker, const Vocab& vocab) {
  const auto markers = markers_in(marker, vocab);
  return !markers.empty() && markers.front().begin == 0;
}

std::string lark_text(std::string_view text, const Vocab& vocab) {
  std::string out;
  const auto append = [&out](const std::string& piece) { out += out.empty() ? piece : " " + piece; };
  std::size_t plain = 0;
  for (const Marker& marker : markers_in(text, vocab)) {
    if (marker.begin > plain) append(constrain::lark_literal(text.substr(plain, marker.begin - plain)));
    append(fmt::format("<[{}]>", marker.token));
    plain = marker.begin + marker.size;
  }
  if (plain < text.size() || out.empty()) append(constrain::lark_literal(text.substr(plain)));
  return out;
}

std::string regex_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || byte >= 0x80 || c == '_' || c == ' ' || c == ':' || c == ',';
    out += plain ? std::string(1, c) : fmt::format("\\x{:02X}", byte);
  }
  return out;
}

std::string text_not_beginning_with(std::string_view word) {
  // From the last character inwards: a text that goes on like the word must differ later, or end.
  std::string rest;
  for (std::size_t i = word.size(); i-- > 1;) {
    const auto byte = static_cast<unsigned char>(word[i]);
    rest = fmt::format("( /[^\\x{:02X}]/ TEXT{} )?", byte,
                       rest.empty() ? "" : fmt::format(" | {} {}", constrain::lark_literal(word.substr(i, 1)), rest));
  }
  return fmt::format("BLANK ( /[^ \\t\\r\\n\\x{:02X}]/ TEXT | {} {} )?", static_cast<unsigned char>(word[0]),
                     constrain::lark_literal(word.substr(0, 1)), rest);
}

}  // namespace kvern::chat
