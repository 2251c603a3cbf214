// How one model family writes text, reasoning and tool calls.
//
// A dialect is one declarative record. From it come three things that must agree: the grammar that
// allows only valid calls, the streaming parser, and the renderer of history.
// Formats: reference table of the families' own chat templates. Thread: any; records are constants.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "constrain/schema.h"
#include "core/chat_request.h"
#include "core/event.h"
#include "core/prompt.h"
#include "core/vocab.h"

namespace kvern::chat {

enum class ArgumentStyle {
  json,   // one JSON object
  tagged  // one element a parameter: strings raw, everything else JSON
};

// A turn is: [reasoning] [text text_separator] (call (call_separator call)*)?
// A call is:  call_begin name name_end ARGUMENTS call_end
// ARGUMENTS:  json: an object in `json_style`.
//             tagged: (parameter_begin key parameter_name_end VALUE parameter_end)*
struct Dialect {
  std::string_view name;     // --dialect NAME
  std::string_view trigger;  // the text that can only be the start of a call: a prefix of call_begin
  std::string_view call_begin;
  std::string_view name_end;
  std::string_view call_end;
  std::string_view call_separator;
  std::string_view text_separator;  // between text and the first call
  ArgumentStyle arguments = ArgumentStyle::json;
  std::string_view item_separator = ", ";
  std::string_view key_separator = ": ";
  std::string_view parameter_begin;
  std::string_view parameter_name_end;
  std::string_view parameter_end;
  std::string_view reasoning_begin;  // "" when the family does not reason
  std::string_view reasoning_end;
  std::string_view result_begin;  // around a tool's result, for templates without tools
  std::string_view result_end;
};

std::span<const Dialect> all_dialects();
const Dialect* find_dialect(std::string_view name);  // null when unknown

// The dialect a chat template writes, by the markers in its source; the Hermes record when it
// shows none. knows_tools: the template renders `tools` itself.
struct Chosen {
  const Dialect* dialect = nullptr;
  bool knows_tools = false;
  bool reasons = false;  // the template mentions the dialect's reasoning markers
};
Chosen choose_dialect(std::string_view template_source);

// What a turn may look like, for a tool set and choice or a response format. An empty `lark` when
// nothing needs enforcing (no tools or tool_choice none, text format).
//   automatic: free text, and any number of calls (one when !parallel) that are always valid;
//   required:  optional reasoning (when `reasons`), then at least one call, at once;
//   named:     the same with that tool only, exactly one call;
//   json_schema / json_object: optional reasoning, then exactly that value; with tools and automatic
//   choice that value or calls; a required call goes before the format.
// Separators and whitespace are the record's. Control tokens that are markers are named by id.
Result<ConstraintSpec> write_constraint(const Dialect& dialect, bool reasons, bool in_reasoning,
                                        const ChatRequest& request, const Vocab& vocab,
                                        constrain::SchemaFitter& fitter);

// The control tokens of this vocabulary whose names are part of the dialect: the parser must see
// them as text, and no other control token.
std::vector<TokenId> marker_tokens(const Dialect& dialect, const Vocab& vocab);

using MakeCallId = std::function<std::string()>;

// Reads a turn as it is generated. Append-only, linear, never throws; for any text and any split of
// it the joined events are the same. Malformed, truncated and unknown calls never vanish: what
// cannot be read as a call comes out as text (nothing of it was emitted as a call yet), a truncated
// call keeps the arguments it has.
class Parser {
 public:
  virtual ~Parser() = default;
  virtual void feed(std::string_view text, std::vector<Event>& out) = 0;
  virtual void finish(std::vector<Event>& out) = 0;  // lets go of held-back bytes
};

struct ParserOptions {
  std::vector<Tool> tools;  // empty, or tool_choice none: calls are not looked for, all is text
  bool reasons = false;
  bool in_reasoning = false;  // the prompt already opened the reasoning block
  MakeCallId make_call_id;
};
std::unique_ptr<Parser> make_parser(const Dialect& dialect, ParserOptions options);

// Calls as the model would have written them, separators included: the inverse of the parser, for
// templates without tools and for tests.
std::string render_calls(const Dialect& dialect, std::span<const ToolCall> calls);

// The system text that describes tools to a model whose template cannot, and asks for this
// dialect's calls.
std::string describe_tools(const Dialect& dialect, std::span<const Tool> tools);

}  // namespace kvern::chat
