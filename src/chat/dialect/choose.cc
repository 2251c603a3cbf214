// Which record a chat template writes.
#include <algorithm>
#include <cctype>

#include "chat/dialect/derive.h"
#include "chat/dialect/dialect.h"
#include "chat/dialect/records.h"

namespace kvern::chat {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

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

bool writes(const Dialect& dialect, std::string_view source) {
  return !dialect.signs.empty() && std::all_of(dialect.signs.begin(), dialect.signs.end(),
                                               [source](std::string_view sign) { return contains(source, sign); });
}

// The longest of the records' own renderings that a conversation shows: a family whose form is part
// of another's is not taken for it.
const Dialect* shown_in(std::span<const CallProbe> probes, std::string_view source) {
  const Dialect* best = nullptr;
  std::size_t length = 0;
  for (const Dialect* dialect : all_dialects()) {
    for (const bool nine : {false, true}) {
      const std::vector<ToolCall> calls = probe_calls(nine);
      for (const std::size_t count : {calls.size(), std::size_t{1}}) {
        const std::string text = render_calls(*dialect, std::span(calls).first(count));
        const bool shown = std::any_of(probes.begin(), probes.end(), [&text](const CallProbe& probe) {
          return contains(probe.one, text) || contains(probe.two, text);
        });
        // Families whose calls are the same differ in other marks.
        const bool better = text.size() > length || (text.size() == length && writes(*dialect, source));
        if (shown && better) {
          best = dialect;
          length = text.size();
        }
      }
    }
  }
  return best;
}

const Dialect* by_signs(std::string_view source) {
  for (const Dialect* dialect : all_dialects())
    if (writes(*dialect, source)) return dialect;
  return nullptr;
}

}  // namespace

std::span<const Dialect* const> all_dialects() {
  static const std::vector<const Dialect*> all = [] {
    std::vector<const Dialect*> list;
    for (const auto records :
         {channel_records(), odd_records(), tagged_records(), marked_json_records(), json_records()})
      for (const Dialect& record : records) list.push_back(&record);
    return list;
  }();
  return all;
}

const Dialect* find_dialect(std::string_view name) {
  for (const Dialect* dialect : all_dialects())
    if (dialect->name == name) return dialect;
  return nullptr;
}

std::vector<ToolCall> probe_calls(bool nine) {
  return {{.id = nine ? "kvprobe01" : "functions.kv_probe:0",
           .name = "kv_probe",
           .arguments = R"({"kv_text": "kv words", "kv_count": 41})",
           .written_id = {}},
          {.id = nine ? "kvprobe02" : "functions.kv_other:1", .name = "kv_other", .arguments = "{}", .written_id = {}}};
}

Chosen choose_dialect(std::string_view template_source, std::span<const CallProbe> probes) {
  Chosen chosen;
  chosen.dialect = shown_in(probes, template_source);
  if (chosen.dialect == nullptr) chosen.dialect = by_signs(template_source);
  if (chosen.dialect == nullptr) {
    chosen.derived = derive_dialect(template_source, probes);
    chosen.dialect = chosen.derived.get();
  }
  chosen.knows_tools = chosen.dialect != nullptr && uses_tools(template_source);
  if (chosen.dialect == nullptr) chosen.dialect = find_dialect("hermes");
  const std::string_view end = chosen.dialect->reasoning_end;
  chosen.reasons = !end.empty() && contains(template_source, end);
  return chosen;
}

}  // namespace kvern::chat
