#include "chat/dialect/lark_text.h"

#include <fmt/format.h>

#include "chat/dialect/dialect.h"
#include "constrain/schema.h"

namespace kvern::chat {

std::string control_token(std::string_view marker, const Vocab& vocab) {
  const TokenId token = vocab.find(marker);
  return token >= 0 && vocab.is_control(token) ? fmt::format("<[{}]>", token) : std::string();
}

std::vector<TokenId> marker_tokens(const Dialect& dialect, const Vocab& vocab) {
  std::vector<TokenId> tokens;
  for (std::string_view text :
       {dialect.trigger, dialect.call_begin, dialect.name_end, dialect.call_end, dialect.parameter_begin,
        dialect.parameter_name_end, dialect.parameter_end, dialect.reasoning_begin, dialect.reasoning_end}) {
    for (std::size_t open = text.find('<'); open != std::string_view::npos; open = text.find('<', open + 1)) {
      const std::size_t close = text.find('>', open);
      if (close == std::string_view::npos) break;
      const TokenId token = vocab.find(text.substr(open, close + 1 - open));
      if (token >= 0 && vocab.is_control(token) && !vocab.ends_generation(token)) tokens.push_back(token);
    }
  }
  return tokens;
}

std::string lark_text(std::string_view text, const Vocab& vocab) {
  std::string out;
  const auto append = [&out](const std::string& piece) { out += out.empty() ? piece : " " + piece; };
  std::size_t plain = 0;
  for (std::size_t open = text.find('<'); open != std::string_view::npos; open = text.find('<', open + 1)) {
    const std::size_t close = text.find('>', open);
    if (close == std::string_view::npos) break;
    const std::string token = control_token(text.substr(open, close + 1 - open), vocab);
    if (token.empty()) continue;
    if (open > plain) append(constrain::lark_literal(text.substr(plain, open - plain)));
    append(token);
    plain = close + 1;
  }
  if (plain < text.size() || out.empty()) append(constrain::lark_literal(text.substr(plain)));
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
