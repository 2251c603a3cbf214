// Calls and tools as text: what a model wrote, or is asked to write.
#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/json.h"
#include "base/json_text.h"
#include "chat/dialect/arguments/codec.h"
#include "chat/dialect/channels.h"
#include "chat/dialect/dialect.h"
#include "chat/dialect/json_scan.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kNine = 9;
constexpr std::size_t kWord = 64;

// Nine letters and digits that are the same for the same text.
std::string nine_of(std::string_view text) {
  constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const Hash128 hash = xxh3_128(text);
  std::uint64_t bits = hash.low;
  std::string out;
  for (std::size_t i = 0; i < kNine; ++i, bits /= kLetters.size()) out += kLetters[bits % kLetters.size()];
  return out;
}

bool is_nine(std::string_view id) {
  return id.size() == kNine && std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
}

bool is_word(std::string_view id) {
  return !id.empty() && id.size() <= kWord && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

// The id as it stands in the call's text.
std::string id_in_text(const Dialect& dialect, const ToolCall& call, std::size_t number) {
  std::string id = call.written_id.empty() ? family_id(dialect, call, number) : call.written_id;
  if (!dialect.id_holds_name) return id;
  const std::size_t mark = id.rfind(dialect.id_mark);
  return mark == std::string::npos ? id : id.substr(mark + dialect.id_mark.size());
}

void append_call(std::string& out, const Dialect& dialect, const ToolCall& call, std::size_t number) {
  const auto id = [&] { return id_in_text(dialect, call, number); };
  out += dialect.call_begin;
  if (dialect.id_place == IdPlace::before_name) out.append(id()).append(dialect.id_mark);
  out += call.name;
  if (dialect.id_place == IdPlace::after_name) out.append(dialect.id_mark).append(id());
  out += dialect.name_end;
  codec_of(dialect.arguments).render(out, dialect, call.arguments);
  if (dialect.id_place == IdPlace::after_arguments) out.append(dialect.id_mark).append(id());
  out += dialect.call_end;
}

}  // namespace

std::string family_id(const Dialect& dialect, const ToolCall& call, std::size_t number) {
  if (dialect.id_place == IdPlace::none) return call.id;
  if (dialect.id_form == IdForm::nine) return is_nine(call.id) ? call.id : nine_of(call.id);
  if (dialect.id_form == IdForm::word) return is_word(call.id) ? call.id : nine_of(call.id);
  const std::string digits = std::to_string(number + static_cast<std::size_t>(dialect.id_first));
  if (!dialect.id_holds_name) return digits;
  return std::string(dialect.id_prefix) + call.name + std::string(dialect.id_mark) + digits;
}

std::string render_calls(const Dialect& dialect, std::span<const ToolCall> calls) {
  if (dialect.layout == Layout::channels) return render_channel_calls(dialect, calls);
  if (calls.empty()) return {};
  std::string out(dialect.section_begin);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (i > 0) out += dialect.call_separator;
    append_call(out, dialect, calls[i], i);
  }
  return out + std::string(dialect.section_end);
}

std::string describe_tools(const Dialect& dialect, std::span<const Tool> tools) {
  std::string out = "# Tools\n\nYou can call the functions listed here, one JSON description a line:\n<tools>";
  for (const Tool& tool : tools) {
    out += "\n{\"type\": \"function\", \"function\": {\"name\": ";
    append_json_string(out, tool.name);
    out += ", \"description\": ";
    append_json_string(out, tool.description);
    out += ", \"parameters\": ";
    out += parse_json(tool.parameters) ? respaced(tool.parameters, ", ", ": ") : "{}";
    out += "}}";
  }
  const ToolCall example{.id = "example", .name = "example_function", .arguments = R"({"example_parameter": "value"})"};
  out +=
      "\n</tools>\n\nTo call a function, write a block in exactly this form, with the function's own name and "
      "parameters:\n";
  out += render_calls(dialect, std::span(&example, 1));
  out += "\nWrite one block for each call and nothing after the last one. If no function is needed, just answer.";
  return out;
}

}  // namespace kvern::chat
