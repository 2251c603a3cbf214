#include "api/compaction.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/response_text.h"
#include "api/sealed_text.h"
#include "base/json.h"
#include "base/json_text.h"

namespace kvern::api {
namespace {

constexpr const char* kInstruction =
    "This conversation is about to be shortened: everything above will be replaced by what you write now. Write a "
    "summary that lets someone go on without having read it. State the task and its constraints, what was done and "
    "found out (with exact names, paths, commands and values), what was decided and why, what is unfinished, and what "
    "the next step is. Write nothing but the summary.";

bool is_user_message(const Json& item) {
  const auto is = [&](const char* name, const char* value) {
    const auto found = item.find(name);
    return found != item.end() && *found == value;
  };
  return item.is_object() && is("role", "user") && (is("type", "message") || !item.contains("type"));
}

ItemText kept_message(Json item, std::size_t number, std::string_view tag) {
  item["type"] = "message";
  if (!item.contains("id")) item["id"] = fmt::format("msg_{}_{}", tag, number);
  if (!item.contains("status")) item["status"] = "completed";
  if (const auto content = item.find("content"); content != item.end() && content->is_string()) {
    const Json words = *content;
    *content = Json::array({{{"type", "input_text"}, {"text", words}}});
  }
  return std::make_shared<const std::string>(dump_json(item));
}

// The next turn is told when there was no room for all of it: the conversation it stood for is gone by then.
std::string summary_of(const Choice& choice) {
  std::string summary = choice.content.empty() ? choice.reasoning : choice.content;
  if (choice.reason == FinishReason::length) summary += "\n[This summary was cut short.]";
  return summary;
}

}  // namespace

Result<ResponsesRequest> parse_compaction_request(std::string_view body, const StoredItems& stored,
                                                  const RequestDefaults& defaults) {
  TRY(ResponsesRequest request, parse_responses_request(body, stored, defaults, /*keep_items=*/true));
  request.chat.stream = false;
  request.chat.format = {};
  request.chat.tool_choice = {ToolUse::none, {}, {}};
  request.chat.messages.push_back(text_message(Role::user, kInstruction));
  std::erase_if(request.items, [](const ItemText& text) {
    const Result<Json> item = parse_json(*text);
    return !item || !is_user_message(*item);
  });
  return request;
}

std::string CompactionEncoder::whole(std::span<const Choice> choices, const Usage& usage) {
  const Choice& choice = choices.front();
  std::string out = "{\"id\":";
  append_json_string(out, std::string(kResponsePrefix) + tag_);
  out += R"(,"object":"response.compaction","created_at":)";
  append_number(out, created_s_);
  out += ",\"output\":[";
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    out += *kept_message(parse_json(*kept_[i]).value_or(Json::object()), i, tag_);
    out += ',';
  }
  out += "{\"id\":";
  append_json_string(out, fmt::format("cmp_{}_{}", tag_, kept_.size()));
  out += R"(,"type":"compaction","encrypted_content":)";
  append_json_string(out, sealed_text(summary_of(choice)));
  out += "}],\"usage\":";
  out += encode_responses_usage(usage);
  out += '}';
  return out;
}

}  // namespace kvern::api
