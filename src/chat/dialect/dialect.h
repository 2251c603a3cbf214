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
#include "constrain/constraint.h"
#include "constrain/schema.h"
#include "core/chat_request.h"
#include "core/event.h"
#include "core/prompt.h"
#include "core/vocab.h"

namespace kvern::chat {

// How a call's arguments are written. Each has a codec: arguments/codec.h.
enum class ArgumentStyle {
  json,      // one JSON object
  tagged,    // one element a parameter: strings raw, everything else JSON
  pythonic,  // Python's keyword arguments: k='v', n=3, b=True
  object,    // Gemma's objects: bare keys, strings between quote marks of their own
  elements,  // a tree of elements: objects and lists nest
};

// What surrounds the arguments.
enum class CallFrame {
  markers,  // texts before and behind the name
  envelope  // one JSON object with the name and the arguments as members
};

// Tagged: the word between a parameter's name and its value that says how the value is written.
enum class TypeWord {
  none,
  is_string,  // true or false
  json_type   // string, number, boolean, object, array, null
};

enum class IdPlace { none, before_name, after_name, after_arguments };
enum class IdForm {
  nine,   // nine letters and digits
  word,   // up to 64 letters, digits, '_' and '-'
  number  // counted from Dialect::id_first
};

enum class Layout {
  plain,    // reasoning, then text, then calls
  channels  // harmony: every part is a message with a channel and a recipient; of the texts below it
            // uses the trigger and the reasoning markers only
};

// A turn is: [reasoning] [text_begin TEXT text_end] [text_separator CALLS] turn_end
// CALLS:     section_begin call (call_separator call)* section_end
// A call is: call_begin name name_end ARGUMENTS call_end, and an id where id_place says:
//            before_name:     call_begin ID id_mark name name_end ARGUMENTS call_end
//            after_name:      call_begin name id_mark ID name_end ARGUMENTS call_end
//            after_arguments: call_begin name name_end ARGUMENTS id_mark ID call_end
// ARGUMENTS: json:   an object in this spacing.
//            tagged: (parameter_begin key [type_begin WORD] parameter_name_end VALUE parameter_end)*, or
//                    no_parameters. Only declared parameters, unless the schema says
//                    "additionalProperties" (parameter_sets.h).
//            others: see the codec.
// Whitespace is the families' own templates': what a model wrote must be what its template renders
// for the next turn, or the cached prefix ends there. The parser is not that strict about it.
struct Dialect {
  std::string_view name = {};  // --dialect NAME
  Layout layout = Layout::plain;

  // The text that can only be the start of calls: a prefix of section_begin and call_begin.
  std::string_view trigger = {};
  // Calls are the whole turn: the trigger counts at its beginning only, and only before a tool's name.
  bool whole_turn = false;
  // What a whole turn of calls also begins with, instead of section_begin and call_begin: forms that the
  // family's models know besides their template's. They are understood, and constrained alike.
  std::span<const std::string_view> other_begins = {};
  bool parallel = true;  // the family writes several calls in a turn
  // Some models forget what stands before this part of call_begin; the parser understands them.
  std::string_view bare_begin = {};

  std::string_view section_begin = {};
  std::string_view section_end = {};
  CallFrame frame = CallFrame::markers;
  std::string_view call_begin = {};
  std::string_view name_end = {};
  std::string_view call_end = {};
  std::string_view call_separator = {};
  std::string_view text_separator = {};  // between text and the first call

  IdPlace id_place = IdPlace::none;
  IdForm id_form = IdForm::nine;
  std::int32_t id_first = 0;
  std::string_view id_mark = {};
  // The id as history knows it is id_prefix name id_mark ID, not ID alone (Kimi: functions.f:0).
  bool id_holds_name = false;
  std::string_view id_prefix = {};

  ArgumentStyle arguments = ArgumentStyle::json;
  std::string_view item_separator = ", ";
  std::string_view key_separator = ": ";
  std::string_view parameter_begin = {};
  TypeWord type_word = TypeWord::none;
  std::string_view type_begin = {};
  std::string_view parameter_name_end = {};
  std::string_view parameter_end = {};
  std::string_view no_parameters = {};  // tagged: what stands there when there are none
  // object: around a string. pythonic: ' where values are Python's literals, " where they are JSON.
  std::string_view quote = {};

  std::string_view text_begin = {};  // around the text, where the family marks it
  std::string_view text_end = {};
  std::string_view turn_end = {};  // after everything, before the end token

  std::string_view reasoning_begin = {};  // "" when the family does not reason
  std::string_view reasoning_end = {};
  std::string_view reasoning_close = {};  // closes a block as the template writes it, reasoning_end in it
  std::string_view no_reasoning = {};     // a turn that does not reason may begin with this

  std::string_view result_begin = {};  // around a tool's result, for templates without tools
  std::string_view result_end = {};

  // A template that has all of these in its source writes this dialect, should rendering not tell.
  std::span<const std::string_view> signs = {};
};

std::span<const Dialect* const> all_dialects();
const Dialect* find_dialect(std::string_view name);  // null when unknown

// Calls that choose_dialect() looks for in what a template rendered: an assistant message with these,
// ids as given. The second list is for templates that refuse ids which are not nine characters long.
std::vector<ToolCall> probe_calls(bool nine);

// What a template made of one conversation without calls, with the first of probe_calls() and with both;
// empty where it failed.
struct CallProbe {
  std::string asked;  // nothing but the user's message, and the model is to go on
  std::string plain;  // the assistant's message has the same text and no calls
  std::string one;
  std::string two;
  bool as_text = false;  // the arguments were given as JSON text, not as an object
};
inline constexpr std::string_view kProbeQuestion = "kv question";  // the user's message
inline constexpr std::string_view kProbeText = "kv said";          // the assistant's, where it has any

// The dialect a chat template writes. A record whose own rendering of the calls is found in a probe is
// certain; else the signs in the source decide; else what the probes show of an unknown family makes a
// record of its own (derive.h); else it is the Hermes record, without tools.
// knows_tools: the template renders `tools` and calls itself.
struct Chosen {
  const Dialect* dialect = nullptr;        // points into `derived` or to a constant
  std::shared_ptr<const Dialect> derived;  // of an unknown family
  bool knows_tools = false;
  bool reasons = false;  // the template mentions the dialect's reasoning markers
};
Chosen choose_dialect(std::string_view template_source, std::span<const CallProbe> probes = {});

// Whether nobody wants it any more. Asked before each tool: thousands of new schemas take seconds.
using GivenUp = std::function<bool()>;

// What a turn may look like, for a tool set and choice or a response format. An empty `lark` when
// nothing needs enforcing (no tools or tool_choice none, text format).
//   automatic: free text, and any number of calls (one when !parallel) that are always valid;
//   required:  optional reasoning (when `reasons`), then at least one call, at once;
//   named:     the same with that tool only, exactly one call;
//   a response format: optional reasoning, then exactly what it asks for; with tools and automatic
//   choice that or calls; a required call goes before the format.
// Only tool_choice.allowed are in the grammar. compiler tests the client's own grammars. Code::cancelled when given up.
// Separators and whitespace are the record's. Control tokens that are markers are named by id.
Result<ConstraintSpec> write_constraint(const Dialect& dialect, bool reasons, bool in_reasoning,
                                        const ChatRequest& request, const Vocab& vocab, constrain::Compiler& compiler,
                                        constrain::SchemaFitter& fitter, const GivenUp& given_up = {});

// The control tokens of this vocabulary whose names are part of the dialect: the parser must see
// them as text, and no other control token.
std::vector<TokenId> marker_tokens(const Dialect& dialect, const Vocab& vocab);

using MakeCallId = std::function<std::string()>;

// Who ended a turn.
enum class TurnEnd {
  own,  // the model: what it began and left is what it had to say
  cut   // a limit, a stop string or the client: it would have gone on
};

// Reads a turn as it is generated. Append-only, linear, never throws; for any text and any split of
// it the joined events are the same. Malformed, truncated and unknown calls never vanish: what
// cannot be read as a call comes out as text (nothing of it was emitted as a call yet), a truncated
// call keeps the arguments it has.
// Only what was cut before a call was certain, in its marks or its name, is in no event: half a mark is no prose, and
// there is nothing a client could run. (A single byte of a mark may be anything, and stays text.)
class Parser {
 public:
  virtual ~Parser() = default;
  virtual void feed(std::string_view text, std::vector<Event>& out) = 0;
  // Lets go of held-back bytes. False: marks that were cut are in no event.
  virtual bool finish(std::vector<Event>& out, TurnEnd end) = 0;
};

struct ParserOptions {
  std::vector<Tool> tools;  // empty, or tool_choice none: calls are not looked for, all is text
  bool reasons = false;
  bool in_reasoning = false;  // the prompt already opened the reasoning block
  MakeCallId make_call_id;
};
std::unique_ptr<Parser> make_parser(const Dialect& dialect, ParserOptions options);

// Calls as the model would have written them, section and separators included: the inverse of the
// parser. An id is ToolCall::written_id or, when that is empty, family_id().
std::string render_calls(const Dialect& dialect, std::span<const ToolCall> calls);

// The id a call goes by in this family's text when no model wrote one: made from the client's id, or
// from the call's number in the conversation (from 0). The client's id where the family has none.
std::string family_id(const Dialect& dialect, const ToolCall& call, std::size_t number);

// The system text that describes tools to a model whose template cannot, and asks for this
// dialect's calls.
std::string describe_tools(const Dialect& dialect, std::span<const Tool> tools);

}  // namespace kvern::chat
