#include "chat/dialect/derive.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chat/dialect/call_shape.h"
#include "chat/dialect/json_scan.h"
#include "chat/dialect/probe_texts.h"

namespace kvern::chat {
namespace {

struct Marks {
  std::string_view begin;
  std::string_view end;
};

constexpr std::array<Marks, 9> kReasoning = {{
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
    {"<seed:think>", "</seed:think>"},
    {"<mm:think>", "</mm:think>"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"<|inner_prefix|>", "<|inner_suffix|>"},
    {"<thinking>", "</thinking>"},
    {"<thought>", "</thought>"},
    {"<reasoning>", "</reasoning>"},
}};

// A record and the texts it points into.
struct Owned {
  CallShape shape;
  std::string separator;
  std::string trigger;
  std::string reasoning_close;
  Dialect dialect;
};

// The longest way in which the template's source closes a block: newlines around the marker are escapes
// or themselves.
std::string reasoning_close(std::string_view source, std::string_view end) {
  std::string close(end);
  for (const std::string_view newline : {"\\n", "\n"}) {
    const std::string one = std::string(newline) + std::string(end) + std::string(newline);
    if (source.find(one + std::string(newline)) != std::string_view::npos) return "\n" + close + "\n\n";
    if (source.find(one) != std::string_view::npos) close = "\n" + std::string(end) + "\n";
  }
  return close;
}

void add_reasoning(Owned& owned, std::string_view source) {
  for (const Marks& marks : kReasoning) {
    if (source.find(marks.end) == std::string_view::npos) continue;
    owned.reasoning_close = reasoning_close(source, marks.end);
    owned.dialect.reasoning_begin = marks.begin;
    owned.dialect.reasoning_end = marks.end;
    owned.dialect.reasoning_close = owned.reasoning_close;
    return;
  }
}

// The calls must begin with what no text has: a tag, or, as a whole turn, a JSON bracket.
bool add_trigger(Owned& owned, const CallProbe& probe) {
  Dialect& dialect = owned.dialect;
  const std::string lead = owned.shape.section_begin + owned.shape.call_begin;
  owned.trigger = first_tag(lead);
  if (owned.trigger.empty() && (lead.starts_with('{') || lead.starts_with('['))) {
    owned.trigger = lead;
    dialect.whole_turn = true;
  }
  dialect.trigger = owned.trigger;
  return !owned.trigger.empty() && !has_common_tag(lead, probe) && !has_common_tag(owned.shape.section_end, probe);
}

bool is_key_and_quote(std::string_view text) {
  if (!text.ends_with('"')) return false;
  text = trimmed(text.substr(0, text.size() - 1));
  return text.ends_with(':') && trimmed(text.substr(0, text.size() - 1)).ends_with('"');
}

// {"name": "NAME", "arguments": ...}: the name is a member, as the arguments are.
bool is_envelope(const CallShape& shape) {
  const std::string_view end = trimmed(shape.name_end);
  return shape.call_begin.find('{') != std::string::npos && is_key_and_quote(shape.call_begin) &&
         end.starts_with('"') && end.ends_with(':') && std::count(end.begin(), end.end(), '"') == 3;
}

void fill(Owned& owned) {
  const CallShape& shape = owned.shape;
  Dialect& dialect = owned.dialect;
  dialect.name = "derived";
  dialect.parallel = shape.parallel;
  dialect.section_begin = shape.section_begin;
  dialect.section_end = shape.section_end;
  dialect.frame = shape.style == ArgumentStyle::json && is_envelope(shape) ? CallFrame::envelope : CallFrame::markers;
  dialect.call_begin = shape.call_begin;
  dialect.name_end = shape.name_end;
  dialect.call_end = shape.call_end;
  dialect.call_separator = shape.call_separator;
  dialect.text_separator = owned.separator;
  dialect.id_place = shape.id_place;
  dialect.id_form = shape.id_form;
  dialect.id_first = shape.id_first;
  dialect.id_mark = shape.id_mark;
  dialect.arguments = shape.style;
  dialect.item_separator = shape.item_separator;
  dialect.key_separator = shape.key_separator;
  dialect.parameter_begin = shape.parameter_begin;
  dialect.type_word = shape.type_word;
  dialect.type_begin = shape.type_begin;
  dialect.parameter_name_end = shape.parameter_name_end;
  dialect.parameter_end = shape.parameter_end;
  dialect.result_begin = "<tool_response>\n";
  dialect.result_end = "\n</tool_response>";
}

std::vector<Tool> probe_tools() {
  std::vector<Tool> tools(2);
  tools[0].name = "kv_probe";
  tools[0].parameters = R"({"type":"object","properties":{"kv_text":{"type":"string"},"kv_count":{"type":"integer"}}})";
  tools[1].name = "kv_other";
  tools[1].parameters = R"({"type":"object","properties":{}})";
  return tools;
}

// Whether the record's parser reads these calls, and nothing else, in text.
bool reads(const Dialect& dialect, const std::string& text, std::span<const ToolCall> calls) {
  ParserOptions options;
  options.tools = probe_tools();
  const auto parser = make_parser(dialect, std::move(options));
  std::vector<Event> events;
  parser->feed(text, events);
  parser->finish(events, TurnEnd::own);
  std::vector<ToolCall> read;
  for (const Event& event : events) {
    if (const auto* start = std::get_if<CallStartEvent>(&event)) {
      read.push_back({.id = {}, .name = start->name, .arguments = {}, .written_id = {}});
    } else if (const auto* piece = std::get_if<CallArgsEvent>(&event)) {
      read.back().arguments += piece->text;
    } else if (const auto* end = std::get_if<CallEndEvent>(&event)) {
      read.back().written_id = end->written_id;
    } else {
      return false;
    }
  }
  return std::equal(read.begin(), read.end(), calls.begin(), calls.end(),
                    [](const ToolCall& a, const ToolCall& b) {
                      return a.name == b.name && respaced(a.arguments, ",", ":") == respaced(b.arguments, ",", ":");
                    }) &&
         render_calls(dialect, read) == text;
}

// Whether the record writes, and reads, what the template wrote.
bool agrees(const Owned& owned, std::string_view with, const ShownCalls& shown, std::size_t count) {
  std::vector<ToolCall> calls = probe_calls(true);
  calls.resize(count);
  if (owned.shape.id_form != IdForm::number)
    for (ToolCall& call : calls) call.written_id = call.id;
  const std::string text = render_calls(owned.dialect, calls);
  return with.find(text + shown.behind) != std::string_view::npos && reads(owned.dialect, text, calls);
}

std::shared_ptr<const Dialect> derive_from(std::string_view source, const CallProbe& probe) {
  const auto one = shown_calls(probe, probe.one);
  if (!one || !turn_is_bare(probe, *one)) return nullptr;
  const auto two = shown_calls(probe, probe.two);
  auto shape = shape_of(one->calls, two ? two->calls : std::string());
  if (!shape) return nullptr;
  const auto owned = std::make_shared<Owned>();
  owned->shape = std::move(*shape);
  owned->separator = one->separator;
  fill(*owned);
  if (!add_trigger(*owned, probe)) return nullptr;
  add_reasoning(*owned, source);
  if (!agrees(*owned, probe.one, *one, 1)) return nullptr;
  if (owned->shape.parallel && !agrees(*owned, probe.two, *two, 2)) return nullptr;
  return {owned, &owned->dialect};
}

}  // namespace

std::shared_ptr<const Dialect> derive_dialect(std::string_view template_source, std::span<const CallProbe> probes) {
  // Arguments that are given as text may be copied into any form: they show less.
  const bool objects = std::any_of(probes.begin(), probes.end(), [](const CallProbe& probe) { return !probe.as_text; });
  for (const CallProbe& probe : probes) {
    if (objects && probe.as_text) continue;
    if (auto found = derive_from(template_source, probe)) return found;
  }
  return nullptr;
}

}  // namespace kvern::chat
