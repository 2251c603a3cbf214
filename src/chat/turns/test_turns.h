// For tests: templates as model families have them, turns as models write them, and what clients
// make of them.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "chat/dialect/dialect.h"
#include "chat/dialect/json_scan.h"
#include "chat/turns/json_value.h"
#include "core/message.h"
#include "core/tool.h"

namespace kvern::chat::testing {

using Random = std::mt19937;

inline std::size_t below(Random& random, std::size_t end) { return random() % end; }
inline bool one_in(Random& random, std::size_t n) { return random() % n == 0; }

struct TemplateKind {
  std::string_view name;
  bool tools = true;
  bool strips = false;               // content without whitespace around it
  bool drops_old_reasoning = false;  // before the last user message
  bool opens_reasoning = false;      // in the header
  bool role_in_header = false;       // the header of old turns is made of their role
  bool python_words = false;         // tagged values as Python writes them
  std::string_view end = "<|im_end|>";
};

inline constexpr TemplateKind kTemplateKinds[] = {
    {.name = "plain"},
    {.name = "strips", .strips = true, .role_in_header = true},
    {.name = "drops old reasoning", .drops_old_reasoning = true},
    {.name = "opens reasoning", .opens_reasoning = true, .python_words = true},
    {.name = "other end", .role_in_header = true, .end = "<|eom|>"},
    {.name = "without tools", .tools = false},
    {.name = "without tools, strips", .tools = false, .strips = true, .role_in_header = true},
};

inline std::string jinja_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\n' ? std::string("\\n") : c == '\'' ? std::string("\\'") : std::string(1, c);
  return out + "'";
}

inline std::string calls_template(const Dialect& dialect, const TemplateKind& kind) {
  std::string out = "{%- for call in message.tool_calls or [] %}{{- (" + jinja_text(dialect.call_separator) +
                    " if not loop.first else " + jinja_text(dialect.text_separator) + " if content else '') ~ " +
                    jinja_text(dialect.call_begin) + " ~ call.function.name ~ " + jinja_text(dialect.name_end) + " }}";
  if (dialect.arguments == ArgumentStyle::json) {
    out += "{{- call.function.arguments | tojson }}";
  } else {
    out += "{%- for key, value in call.function.arguments | items %}{{- " + jinja_text(dialect.parameter_begin) +
           " ~ key ~ " + jinja_text(dialect.parameter_name_end) + " ~ (value if value is string else " +
           (kind.python_words ? "value | tojson if value is mapping or value is iterable else value | string"
                              : "value | tojson") +
           ") ~ " + jinja_text(dialect.parameter_end) + " }}{%- endfor %}";
  }
  return out + "{{- " + jinja_text(dialect.call_end) + " }}{%- endfor %}";
}

inline std::string template_of(const Dialect& dialect, const TemplateKind& kind) {
  const std::string end = jinja_text(std::string(kind.end) + "\n");
  const std::string header =
      kind.role_in_header ? "'<|im_start|>' ~ message.role ~ '\\n'" : "'<|im_start|>assistant\\n'";
  std::string out =
      "{%- set ns = namespace(last=-1) %}{%- for message in messages %}{%- if message.role == 'user' %}"
      "{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}";
  if (kind.tools)
    out +=
        "{%- if tools %}{{- '<|im_start|>system\\n' }}{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}{{- " +
        end + " }}{%- endif %}";
  out +=
      "{%- for message in messages %}{%- if message.role != 'assistant' %}{{- '<|im_start|>' ~ "
      "('user' if message.role == 'tool' else message.role) ~ '\\n' ~ message.content ~ " +
      end + " }}{%- else %}{%- set content = message.content" + (kind.strips ? " | trim" : "") + " %}{{- " + header +
      " }}";
  if (!dialect.reasoning_begin.empty()) {
    out += "{%- if (message.reasoning_content" + std::string(kind.opens_reasoning ? " or true" : "") + ")" +
           (kind.drops_old_reasoning ? " and loop.index0 > ns.last" : "") + " %}{{- " +
           jinja_text(std::string(dialect.reasoning_begin) + "\n") + " ~ (message.reasoning_content or '') ~ " +
           jinja_text("\n" + std::string(dialect.reasoning_end) + "\n\n") + " }}{%- endif %}";
  }
  out += "{{- content }}" + (kind.tools ? calls_template(dialect, kind) : std::string()) + "{{- " + end +
         " }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n" +
         (kind.opens_reasoning ? std::string(dialect.reasoning_begin) + "\\n" : std::string()) + "' }}{%- endif %}";
  return out;
}

inline std::vector<Tool> some_tools() {
  return {{"read", "Reads.",
           R"({"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"},)"
           R"("deep":{"type":"boolean"},"ratio":{"type":"number"},"tags":{"type":"array","items":{"type":"string"}},)"
           R"("options":{"type":"object","properties":{"depth":{"type":"integer"}}}}})"},
          {"list.all", "Lists.", "{}"}};
}

inline std::string some_text(Random& random, std::size_t words) {
  static const std::vector<std::string> kWords = {
      "Hello",      "the tool", "a\n\nb",  "caf\xC3\xA9", "\xE2\x98\x82", "x < y",     "<tool", "</",
      "{\"a\": 1}", "abc. ",    "  two  ", "assistant",   "path",         "<|im_end|", "100",   "it's \"so\""};
  std::string out;
  for (std::size_t i = 0; i < words; ++i) out += (i == 0 ? "" : " ") + kWords[below(random, kWords.size())];
  return out;
}

inline std::string some_number(Random& random) {
  static const std::vector<std::string> kNumbers = {"0",   "1",    "-7",  "5000",    "1.0",
                                                    "1e2", "12.5", "0.1", "-2.50e1", "10e-1"};
  return kNumbers[below(random, kNumbers.size())];
}

inline std::string some_string(Random& random) {
  std::string out;
  append_json_string(out, some_text(random, 1 + below(random, 3)));
  return out;
}

// Arguments of `read` as a model writes JSON, in any order and with gaps.
inline std::string some_arguments(Random& random) {
  std::vector<std::string> members = {"\"path\": " + some_string(random),
                                      "\"limit\":" + some_number(random),
                                      std::string("\"deep\" : ") + (one_in(random, 2) ? "true" : "false"),
                                      "\"ratio\": " + some_number(random),
                                      "\"tags\": [" + some_string(random) + " ,  " + some_string(random) + "]",
                                      "\"options\": {\"depth\": " + some_number(random) +
                                          ", \"other\": [{\"z\": null, \"a\": " + some_number(random) + "}]}"};
  std::shuffle(members.begin(), members.end(), random);
  members.resize(below(random, members.size() + 1));
  std::string out = "{";
  for (std::size_t i = 0; i < members.size(); ++i) out += (i == 0 ? "" : one_in(random, 2) ? "," : ", ") + members[i];
  return out + "}";
}

struct TurnKind {
  bool reasons = false;
  bool in_reasoning = false;
  std::size_t calls = 0;
};

// The text of a turn as a model may write it.
inline std::string some_turn(const Dialect& dialect, const TurnKind& kind, Random& random) {
  std::string out;
  if (kind.reasons && !kind.in_reasoning) out += std::string(dialect.reasoning_begin) + "\n";
  if (kind.reasons) out += some_text(random, 3) + "\n" + std::string(dialect.reasoning_end) + "\n\n";
  const std::string content = one_in(random, 3) && kind.calls > 0 ? "" : some_text(random, 1 + below(random, 6));
  out += content;
  for (std::size_t i = 0; i < kind.calls; ++i) {
    out += i > 0 ? dialect.call_separator : content.empty() ? std::string_view() : dialect.text_separator;
    const ToolCall call{"", one_in(random, 4) ? "list.all" : "read", some_arguments(random)};
    if (dialect.arguments == ArgumentStyle::json) {
      out += std::string(dialect.call_begin) + call.name + std::string(dialect.name_end) + call.arguments +
             std::string(dialect.call_end);
    } else {
      out += render_calls(dialect, std::span(&call, 1));
    }
  }
  return out;
}

// A number of the same value, spelled otherwise.
inline std::string respelled(const std::string& canonical, Random& random) {
  if (canonical == "0") return one_in(random, 2) ? "0" : "0.0";
  const std::size_t e = canonical.find('e');
  const std::string digits = canonical.substr(0, e);
  const int exponent = std::stoi(canonical.substr(e + 1));
  if (exponent == 0) return one_in(random, 2) ? digits : digits + ".0";
  if (one_in(random, 2)) return digits + "0E" + std::to_string(exponent - 1);
  return digits + "e" + std::to_string(exponent);
}

// The same JSON value: other key order, gaps, escapes and numbers.
inline std::string respelled(const JsonValue& value, Random& random) {
  const auto gap = [&random] { return std::string(below(random, 3), ' '); };
  switch (value.kind) {
    case JsonValue::Kind::null: return "null";
    case JsonValue::Kind::boolean: return value.text;
    case JsonValue::Kind::number: return respelled(value.text, random);
    case JsonValue::Kind::string: {
      std::string out;
      append_json_string(out, value.text);
      const std::size_t accent = out.find("\xC3\xA9");
      if (accent != std::string::npos) out.replace(accent, 2, one_in(random, 2) ? "\\u00e9" : "\\u00E9");
      return out;
    }
    case JsonValue::Kind::array:
    case JsonValue::Kind::object: break;
  }
  std::vector<std::string> members;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    std::string key;
    if (value.kind == JsonValue::Kind::object) {
      append_json_string(key, value.keys[i]);
      key += gap() + ":" + gap();
    }
    members.push_back(key + respelled(value.items[i], random));
  }
  const bool object = value.kind == JsonValue::Kind::object;
  if (object) std::shuffle(members.begin(), members.end(), random);
  std::string out = object ? "{" : "[";
  for (std::size_t i = 0; i < members.size(); ++i) out += (i == 0 ? gap() : gap() + "," + gap()) + members[i];
  return out + gap() + (object ? "}" : "]");
}

// The turn as clients send it back: it means the same.
inline Message sent_back(Message message, Random& random) {
  if (one_in(random, 2)) message.reasoning.clear();
  if (!message.reasoning.empty() && one_in(random, 2)) message.reasoning = "\n" + message.reasoning + " ";
  if (one_in(random, 3)) message.content = " " + message.content + "\n";
  if (one_in(random, 3)) message.content = std::string(trimmed(message.content));
  for (ToolCall& call : message.tool_calls)
    if (const auto value = read_json_value(call.arguments)) call.arguments = respelled(*value, random);
  return message;
}

// All the ways in which a client can mean something else, one at a time.
inline std::vector<std::pair<std::string_view, Message>> changed(const Message& message) {
  std::vector<std::pair<std::string_view, Message>> out;
  const auto with = [&](std::string_view what, auto&& change) {
    Message other = message;
    change(other);
    out.emplace_back(what, std::move(other));
  };
  with("edited text", [](Message& m) { m.content = "No. " + m.content; });
  with("cut text",
       [](Message& m) { m.content = m.content.empty() ? "more" : m.content.substr(0, m.content.size() / 2); });
  with("another call", [](Message& m) { m.tool_calls.push_back({"call_new", "read", "{}"}); });
  if (!message.reasoning.empty()) with("other reasoning", [](Message& m) { m.reasoning += " not"; });
  if (message.tool_calls.empty()) return out;
  with("another id", [](Message& m) { m.tool_calls.front().id = "call_other"; });
  with("another name", [](Message& m) { m.tool_calls.back().name += "2"; });
  with("a missing call", [](Message& m) { m.tool_calls.pop_back(); });
  with("another value", [](Message& m) {
    std::string& arguments = m.tool_calls.front().arguments;
    arguments = arguments.size() <= 2 ? R"({"path": "x"})" : arguments.insert(arguments.rfind('}'), R"(, "more": 1)");
  });
  if (message.tool_calls.size() > 1)
    with("reordered calls", [](Message& m) { std::swap(m.tool_calls.front(), m.tool_calls.back()); });
  return out;
}

}  // namespace kvern::chat::testing
