#include "api/responses_items.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/custom_input.h"
#include "api/responses_content.h"
#include "api/sealed_text.h"
#include "base/limits.h"

namespace kvern::api {
namespace {

constexpr std::string_view kCall = "_call";
constexpr std::string_view kOutput = "_output";
constexpr std::string_view kSummaryHead = "[The conversation up to here was replaced by this summary of it.]\n";
constexpr std::string_view kLoadedHead = "These tools can be called from here on:\n";
constexpr const char* kForeignSummary = "[Here stood a summary of the conversation that this server cannot read.]";

Status read_role(const Fields& item, Role& out) {
  TRY(const std::string role, item.required_text("role"));
  if (role == "system" || role == "developer") {
    out = Role::system;
  } else if (role == "user") {
    out = Role::user;
  } else if (role == "assistant") {
    out = Role::assistant;
  } else {
    return fail(Code::invalid,
                fmt::format("expected \"user\", \"assistant\", \"system\" or \"developer\", found {}", shown(role)),
                item.path_of("role"));
  }
  return {};
}

// local_shell_call_output names its call by "id".
Result<std::string> call_id_of(const Fields& item) {
  std::string id;
  TRY_OK(item.text("call_id", id));
  if (id.empty()) TRY_OK(item.text("id", id));
  return id;
}

bool is_empty(const Json& value) {
  return value.is_null() || ((value.is_object() || value.is_array()) && value.empty());
}

// What the model wrote as arguments of a call whose item shows them as an action.
std::string arguments_of_action(const Json& action) {
  if (!action.is_object()) return dump_json(action);
  Json arguments = Json::object();
  for (const auto& [key, value] : action.items())
    if (key != "type" && !is_empty(value)) arguments[key] = value;
  return dump_json(arguments);
}

// As the client wrote them, valid JSON or not.
std::string arguments_of(const Json& value) {
  const auto* text = value.get_ptr<const std::string*>();
  return text != nullptr ? *text : dump_json(value);
}

bool says_nothing(std::string_view arguments) {
  return arguments.find_first_not_of(" \t\r\n{}") == std::string_view::npos;
}

Status append_list(const Fields& item, std::string_view name, std::string_view separator, std::string& out) {
  TRY(const Json* list, item.list(name));
  if (list == nullptr) return {};
  const std::string path = item.path_of(name);
  for (std::size_t i = 0; i < list->size(); ++i) {
    if (!out.empty()) out += separator;
    TRY_OK(append_content((*list)[i], indexed(path, i), out));
  }
  return {};
}

}  // namespace

Status ItemReader::read(const Json& value, std::string path) {
  TRY(const Fields item, Fields::of(value, std::move(path)));
  if (!in_reference_) referred_ = nullptr;
  std::string type;
  TRY_OK(item.text("type", type));
  if (type.empty()) type = item.find("role") != nullptr ? "message" : "item_reference";
  return read_typed(item, type);
}

Status ItemReader::read_typed(const Fields& item, const std::string& type) {
  if (type == "message") return read_message(item);
  if (type == "reasoning") return read_reasoning(item);
  if (type == "tool_search_output") return read_tool_search_output(item);
  if (type == "additional_tools") return read_additional_tools(item);
  if (type == "compaction" || type == "compaction_summary") return read_compaction(item);
  if (type == "item_reference") return read_reference(item);
  if (type.ends_with(kCall) && (item.find("call_id") != nullptr || type == "function_call"))
    return read_call(item, type);
  if (type.ends_with(kOutput) && (item.find("call_id") != nullptr || item.find("output") != nullptr))
    return read_output(item);
  dropped_.push_back(type);
  return {};
}

Status ItemReader::read_message(const Fields& item) {
  Role role = Role::user;
  TRY_OK(read_role(item, role));
  std::string content;
  if (const Json* given = item.find("content")) {
    TRY_OK(append_content(*given, item.path_of("content"), content));
  } else if (role != Role::assistant) {
    return item.missing("content", "a string or a list of parts");
  }
  if (role != Role::assistant) {
    add(role, std::move(content));
    return {};
  }
  // Two messages in a row that no id ties together are two turns.
  std::string id;
  TRY_OK(item.text("id", id));
  const bool tied = !tag_.empty() && tag_of_item(id) == tag_;
  if (after_text_ && !tied) begin_turn(std::string(tag_of_item(id)));
  turn(item).content += content;
  after_text_ = true;
  return {};
}

Status ItemReader::read_reasoning(const Fields& item) {
  std::string text;
  TRY_OK(append_list(item, "content", "", text));
  if (text.empty()) TRY_OK(append_list(item, "summary", "\n\n", text));
  if (text.empty()) {
    std::string sealed;
    TRY_OK(item.text("encrypted_content", sealed));
    text = opened_text(sealed).value_or("");
  }
  if (text.empty()) return {};
  turn(item).reasoning += text;
  after_text_ = false;
  return {};
}

Status ItemReader::read_call(const Fields& item, const std::string& type) {
  ToolCall call;
  TRY(call.id, call_id_of(item));
  CallName name{CallKind::function, type.substr(0, type.size() - kCall.size()), ""};
  if (type == "function_call" || type == "custom_tool_call") {
    TRY(name.name, item.required_text("name"));
  } else {
    TRY_OK(item.text("name", name.name));
  }
  TRY_OK(item.text("namespace", name.space));
  call.name = prompt_name(tools_, name);
  call.arguments = "{}";
  if (type == "custom_tool_call") {
    std::string input;
    TRY_OK(item.text("input", input));
    call.arguments = custom_arguments(input);
  } else if (const Json* arguments = item.find("arguments")) {
    call.arguments = arguments_of(*arguments);
  } else {
    for (const char* field : {"action", "operation"})
      if (const Json* action = item.find(field)) call.arguments = arguments_of_action(*action);
  }
  add_call(item, std::move(call));
  return {};
}

Status ItemReader::read_output(const Fields& item) {
  TRY(std::string id, call_id_of(item));
  std::string content;
  if (const Json* output = item.find("output")) TRY_OK(append_output(*output, item.path_of("output"), content));
  add_result(std::move(id), std::move(content));
  return {};
}

Status ItemReader::read_tool_search_output(const Fields& item) {
  std::string id;
  TRY_OK(item.text("call_id", id));
  TRY(const Json* list, item.list("tools"));
  const ResponsesTools loaded = list != nullptr ? read_loaded_tools(*list) : ResponsesTools();
  add_deferred(tools_, loaded);
  add_result(std::move(id),
             loaded.tools.empty() ? "No tools were found." : std::string(kLoadedHead) + shown_tools(loaded));
  return {};
}

Status ItemReader::read_additional_tools(const Fields& item) {
  TRY(const Json* list, item.list("tools"));
  if (list == nullptr) return {};
  const ResponsesTools loaded = read_loaded_tools(*list);
  if (loaded.tools.empty()) return {};
  add_deferred(tools_, loaded);
  add(Role::system, std::string(kLoadedHead) + shown_tools(loaded));
  return {};
}

Status ItemReader::read_compaction(const Fields& item) {
  std::string sealed;
  TRY_OK(item.text("encrypted_content", sealed));
  const auto summary = opened_text(sealed);
  add(Role::user, summary ? std::string(kSummaryHead) + *summary : kForeignSummary);
  return {};
}

// A stored item refers to nothing, so there is no way around in circles.
Status ItemReader::read_reference(const Fields& item) {
  std::string id;
  TRY_OK(item.text("id", id));
  ItemText text = in_reference_ ? nullptr : stored_.item(id);
  if (!text) {
    dropped_.emplace_back("item_reference");
    return {};
  }
  referenced_bytes_ += text->size();
  if (referenced_bytes_ > limits::kReferencedBytes)
    return fail(Code::too_large, fmt::format("the items referred to have more than {} bytes", limits::kReferencedBytes),
                item.path());
  TRY(const Json stored, parse_json(*text));
  in_reference_ = true;
  Status status = read(stored, item.path());
  in_reference_ = false;
  referred_ = std::move(text);
  return status;
}

// The turn an assistant's item belongs to. Results of earlier calls of one answer may stand between its
// items; whatever else does begins a new turn.
Message& ItemReader::turn(const Fields& item) {
  std::string id;
  if (!item.text("id", id)) id.clear();
  const std::string_view tag = tag_of_item(id);
  const bool open = has_turn_ && messages_.size() == turn_ + 1;
  const bool only_results = has_turn_ && messages_.size() == turn_ + 1 + results_;
  const bool same_answer = !tag.empty() && tag == tag_;
  const bool unlike = !tag.empty() && !tag_.empty() && tag != tag_;
  if (!(open && !unlike) && !(only_results && same_answer)) begin_turn(std::string(tag));
  if (tag_.empty()) tag_ = std::string(tag);
  return messages_[turn_];
}

void ItemReader::begin_turn(std::string tag) {
  place_late_results();
  messages_.push_back(text_message(Role::assistant, {}));
  has_turn_ = true;
  turn_ = messages_.size() - 1;
  results_ = 0;
  tag_ = std::move(tag);
  after_text_ = false;
  calls_.clear();
  answered_.clear();
}

void ItemReader::place_late_results() {
  const auto behind = static_cast<std::ptrdiff_t>(has_turn_ ? turn_ + 1 + results_ : messages_.size());
  messages_.insert(messages_.begin() + behind, std::make_move_iterator(late_.begin()),
                   std::make_move_iterator(late_.end()));
  late_.clear();
}

std::vector<Message> ItemReader::take() {
  place_late_results();
  return std::move(messages_);
}

// The turn's call with this id once more and empty, behind its result.
bool ItemReader::is_echo(const ToolCall& call) const {
  const auto known = calls_.find(call.id);
  if (call.id.empty() || known == calls_.end() || messages_.size() != turn_ + 1 + results_) return false;
  return says_nothing(call.arguments) && !says_nothing(messages_[turn_].tool_calls[known->second].arguments);
}

// A proxy announces a call twice, the second time without its arguments.
void ItemReader::add_call(const Fields& item, ToolCall call) {
  if (is_echo(call)) return;
  std::vector<ToolCall>& calls = turn(item).tool_calls;
  after_text_ = false;
  const auto [known, is_new] = calls_.try_emplace(call.id, calls.size());
  if (is_new || call.id.empty()) {
    calls.push_back(std::move(call));
  } else if (says_nothing(calls[known->second].arguments)) {
    calls[known->second].arguments = std::move(call.arguments);
  }
}

// Behind the results of its turn, whatever came between; elsewhere where it is.
void ItemReader::add_result(std::string call_id, std::string content) {
  Message result = text_message(Role::tool, std::move(content));
  result.tool_call_id = std::move(call_id);
  after_text_ = false;
  const bool behind_turn = has_turn_ && messages_.size() == turn_ + 1 + results_;
  const bool ours = has_turn_ && calls_.contains(result.tool_call_id);
  if (ours && !result.tool_call_id.empty() && !answered_.insert(result.tool_call_id).second) return;
  if (ours && !behind_turn) {
    late_.push_back(std::move(result));
    return;
  }
  if (behind_turn) ++results_;
  messages_.push_back(std::move(result));
}

void ItemReader::add(Role role, std::string content) {
  after_text_ = false;
  messages_.push_back(text_message(role, std::move(content)));
}

}  // namespace kvern::api
