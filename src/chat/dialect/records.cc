// The records themselves, and which of them a chat template writes.
#include <algorithm>
#include <array>
#include <cctype>

#include "chat/dialect/dialect.h"

namespace kvern::chat {
namespace {

// Whitespace is the templates' own: what a model wrote must be what its template renders for the
// next turn, or the cached prefix ends there.
constexpr std::array<Dialect, 2> kDialects = {
    Dialect{
        .name = "hermes",
        .trigger = "<tool_call>",
        .call_begin = "<tool_call>\n{\"name\": \"",
        .name_end = "\", \"arguments\": ",
        .call_end = "}\n</tool_call>",
        .call_separator = "\n",
        .text_separator = "\n",
        .arguments = ArgumentStyle::json,
        .parameter_begin = "",
        .parameter_name_end = "",
        .parameter_end = "",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
    },
    Dialect{
        .name = "qwen3-coder",
        .trigger = "<tool_call>",
        .call_begin = "<tool_call>\n<function=",
        .name_end = ">\n",
        .call_end = "</function>\n</tool_call>",
        .call_separator = "\n",
        .text_separator = "\n\n",
        .arguments = ArgumentStyle::tagged,
        .parameter_begin = "<parameter=",
        .parameter_name_end = ">\n",
        .parameter_end = "\n</parameter>\n",
        .reasoning_begin = "<think>",
        .reasoning_end = "</think>",
        .result_begin = "<tool_response>\n",
        .result_end = "\n</tool_response>",
    },
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// A key as it stands in a template: in a plain string, or in one whose quotes are escaped.
bool mentions_key(std::string_view source, std::string_view key) {
  return contains(source, "\"" + std::string(key) + "\"") || contains(source, "\\\"" + std::string(key) + "\\\"");
}

bool writes(const Dialect& dialect, std::string_view source) {
  if (!contains(source, dialect.trigger)) return false;
  if (dialect.arguments == ArgumentStyle::json)
    return mentions_key(source, "name") && mentions_key(source, "arguments");
  const std::size_t tag = dialect.call_begin.find('<', dialect.trigger.size());
  return contains(source, dialect.call_begin.substr(tag)) && contains(source, dialect.parameter_begin);
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Whether an expression uses the variable `tools`: a string that says "<tools>" does not count, nor
// does `message.tools` or `xml_tools`.
bool expression_uses_tools(std::string_view code) {
  char quote = 0;
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (quote != 0) {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (is_word(c)) {
      const std::size_t begin = i;
      while (i + 1 < code.size() && is_word(code[i + 1])) ++i;
      const bool member = begin > 0 && code[begin - 1] == '.';
      if (!member && code.substr(begin, i + 1 - begin) == "tools") return true;
    }
  }
  return false;
}

// {# comments #} may hold anything, so they are skipped, not searched.
bool uses_tools(std::string_view source) {
  std::size_t at = 0;
  while ((at = source.find('{', at)) != std::string_view::npos && at + 1 < source.size()) {
    const char kind = source[at + 1];
    const std::string_view close = kind == '%' ? "%}" : kind == '{' ? "}}" : kind == '#' ? "#}" : "";
    if (close.empty()) {
      ++at;
      continue;
    }
    const std::size_t end = std::min(source.find(close, at + 2), source.size());
    if (kind != '#' && expression_uses_tools(source.substr(at + 2, end - at - 2))) return true;
    at = end;
  }
  return false;
}

}  // namespace

std::span<const Dialect> all_dialects() { return kDialects; }

const Dialect* find_dialect(std::string_view name) {
  for (const Dialect& dialect : kDialects)
    if (dialect.name == name) return &dialect;
  return nullptr;
}

Chosen choose_dialect(std::string_view template_source) {
  Chosen chosen{.dialect = &kDialects[0]};
  // The last record that fits: a tagged template may also show the tools as JSON.
  bool fits = false;
  for (const Dialect& dialect : kDialects) {
    if (!writes(dialect, template_source)) continue;
    chosen.dialect = &dialect;
    fits = true;
  }
  chosen.knows_tools = fits && uses_tools(template_source);
  chosen.reasons = contains(template_source, chosen.dialect->reasoning_end);
  return chosen;
}

}  // namespace kvern::chat
