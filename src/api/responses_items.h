// The items of a Responses conversation -> canonical messages. Pure; thread: any.
//
// | item | what becomes of it |
// |---|---|
// | message (also without a type) | a message; an assistant's joins the turn it belongs to |
// | reasoning | reasoning of its turn: its content, else its summary, else what we sealed into it |
// | function_call, custom_tool_call, local_shell_call, tool_search_call | a call of its turn |
// | any other X_call with a call_id (shell_call, apply_patch_call, ...) | a call of X |
// | X_output with a call_id | the result of that call |
// | tool_search_output, additional_tools | what loads tools: shown as text, callable from then on |
// | compaction | a user's text: the summary we made |
// | item_reference | the stored item; dropped when it is not known |
// | everything else (web_search_call, mcp_list_tools, image_generation_call, ...) | dropped |
//
// Neighbouring items of an assistant are one turn. What clients do wrong is put right where it can be: a
// second call or result with one call_id in a turn is dropped, a result stands behind its call.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "api/fields.h"
#include "api/openai_responses.h"
#include "api/responses_tools.h"
#include "core/message.h"

namespace kvern::api {

class ItemReader {
 public:
  // tools: gets what the conversation loads.
  ItemReader(ResponsesTools& tools, const StoredItems& stored) : tools_(tools), stored_(stored) {}

  // An error for what is malformed; never for what is unknown. Code::too_large over kReferencedBytes.
  Status read(const Json& item, std::string path);

  // The stored item that the last one read refers to; null when it is none, or is not known.
  const ItemText& referred() const { return referred_; }

  std::vector<Message> take();
  const std::vector<std::string>& dropped() const { return dropped_; }  // types

 private:
  Status read_typed(const Fields& item, const std::string& type);
  Status read_message(const Fields& item);
  Status read_reasoning(const Fields& item);
  Status read_call(const Fields& item, const std::string& type);
  Status read_output(const Fields& item);
  Status read_tool_search_output(const Fields& item);
  Status read_additional_tools(const Fields& item);
  Status read_compaction(const Fields& item);
  Status read_reference(const Fields& item);

  Message& turn(const Fields& item);
  void begin_turn(std::string tag);
  bool is_echo(const ToolCall& call) const;
  void add_call(const Fields& item, ToolCall call);
  void add_result(std::string call_id, std::string content);
  void add(Role role, std::string content);
  void place_late_results();

  ResponsesTools& tools_;
  const StoredItems& stored_;
  std::vector<Message> messages_;
  std::vector<std::string> dropped_;

  // The latest assistant turn.
  bool has_turn_ = false;
  std::size_t turn_ = 0;       // its place in messages_
  std::size_t results_ = 0;    // that stand behind it
  std::string tag_;            // of the answer it came from; empty when no id says so
  bool after_text_ = false;    // its latest item was a message
  bool in_reference_ = false;  // a stored item is being read
  ItemText referred_;
  std::size_t referenced_bytes_ = 0;                    // of stored items, so far
  std::unordered_map<std::string, std::size_t> calls_;  // its calls by their ids
  std::unordered_set<std::string> answered_;            // those that have a result
  std::vector<Message> late_;                           // results of its calls that came behind other messages
};

}  // namespace kvern::api
