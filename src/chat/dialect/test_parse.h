// For tests: a turn parsed in given pieces, as text one can read and compare.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "chat/dialect/dialect.h"

namespace kvern::chat::testing {

inline MakeCallId numbered_ids() {
  return [n = 0]() mutable { return "call_" + std::to_string(n++); };
}

// Neighbouring pieces of the same kind are one.
inline std::vector<Event> joined(const std::vector<Event>& events) {
  std::vector<Event> out;
  for (const Event& event : events) {
    if (!out.empty() && out.back().index() == event.index()) {
      if (auto* text = std::get_if<TextEvent>(&out.back())) {
        text->text += std::get<TextEvent>(event).text;
        continue;
      }
      if (auto* reasoning = std::get_if<ReasoningEvent>(&out.back())) {
        reasoning->text += std::get<ReasoningEvent>(event).text;
        continue;
      }
      if (auto* args = std::get_if<CallArgsEvent>(&out.back())) {
        args->text += std::get<CallArgsEvent>(event).text;
        continue;
      }
    }
    out.push_back(event);
  }
  return out;
}

inline std::vector<Event> parse(const Dialect& dialect, ParserOptions options,
                                const std::vector<std::string_view>& pieces, TurnEnd end = TurnEnd::own) {
  options.make_call_id = numbered_ids();
  const auto parser = make_parser(dialect, std::move(options));
  std::vector<Event> events;
  for (const std::string_view piece : pieces) parser->feed(piece, events);
  parser->finish(events, end);
  return events;
}

// One event a line: `text "..."`, `reasoning "..."`, `call 0 name`, `args 0 {...}`, `end 0`. Text is
// a JSON string; a newline in arguments is shown as a return sign.
inline std::string readable(const std::vector<Event>& events) {
  std::string out;
  for (const Event& event : joined(events)) {
    if (const auto* text = std::get_if<TextEvent>(&event)) {
      out += "text ";
      append_json_string(out, text->text);
    } else if (const auto* reasoning = std::get_if<ReasoningEvent>(&event)) {
      out += "reasoning ";
      append_json_string(out, reasoning->text);
    } else if (const auto* start = std::get_if<CallStartEvent>(&event)) {
      out += "call " + std::to_string(start->index) + " " + start->name;
    } else if (const auto* args = std::get_if<CallArgsEvent>(&event)) {
      out += "args " + std::to_string(args->index) + " ";
      for (const char c : args->text) out += c == '\n' ? std::string("\u23ce") : std::string(1, c);
    } else if (const auto* end = std::get_if<CallEndEvent>(&event)) {
      out += "end " + std::to_string(end->index);
    }
    out += '\n';
  }
  return out;
}

inline std::vector<std::string_view> bytewise(std::string_view text) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < text.size(); ++i) pieces.push_back(text.substr(i, 1));
  return pieces;
}

}  // namespace kvern::chat::testing
