#include "api/responses_item.h"

#include <nlohmann/json.hpp>

#include "api/sealed_text.h"
#include "base/json.h"
#include "base/json_text.h"

namespace kvern::api {
namespace {

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out += ",\"";
  out += name;
  out += "\":";
  append_json_string(out, text);
}

// The arguments of a call that may have been cut off: then there are none.
Json object_of(std::string_view arguments) {
  Result<Json> parsed = parse_json(arguments);
  return parsed && parsed->is_object() ? std::move(*parsed) : Json(Json::object());
}

// What clients run: each member as its type says, whatever a model without a grammar wrote.
std::string shell_action(std::string_view arguments) {
  const Json given = object_of(arguments);
  Json action = {{"type", "exec"}, {"command", Json::array()}, {"env", Json::object()}};
  for (const char* name : {"command", "env", "timeout_ms", "user", "working_directory"}) {
    const auto found = given.find(name);
    if (found != given.end()) action[name] = *found;
  }
  if (action["command"].is_string()) action["command"] = Json::array({action["command"]});
  return dump_json(action);
}

std::string_view type_of(CallKind kind) {
  switch (kind) {
    case CallKind::function: return "function_call";
    case CallKind::custom: return "custom_tool_call";
    case CallKind::tool_search: return "tool_search_call";
    case CallKind::local_shell: return "local_shell_call";
  }
  return "function_call";
}

}  // namespace

ResponsesEncoder::Item::TextEvent ResponsesEncoder::Item::text_event() const {
  if (kind == Kind::message) return {"output_text", "text"};
  if (kind == Kind::reasoning) return {"reasoning_text", "text"};
  if (call.kind == CallKind::function) return {"function_call_arguments", "arguments"};
  if (call.kind == CallKind::custom) return {"custom_tool_call_input", "input"};
  return {};
}

std::string ResponsesEncoder::Item::part(std::string_view words) const {
  std::string out = kind == Kind::reasoning ? R"({"type":"reasoning_text")" : R"({"type":"output_text")";
  append_member(out, "text", words);
  if (kind == Kind::message) out += R"(,"annotations":[],"logprobs":[])";
  out += '}';
  return out;
}

std::string ResponsesEncoder::Item::json(bool announced, bool sealed) const {
  std::string out = "{\"id\":";
  append_json_string(out, id);
  const std::string_view type = kind == Kind::message     ? "message"
                                : kind == Kind::reasoning ? "reasoning"
                                                          : type_of(call.kind);
  append_member(out, "type", type);
  append_member(out, "status", status);
  if (has_content()) {
    out += kind == Kind::message ? R"(,"role":"assistant")" : R"(,"summary":[])";
    out += ",\"content\":[";
    if (!announced) out += part(text);
    out += ']';
    if (sealed && !announced && kind == Kind::reasoning) append_member(out, "encrypted_content", sealed_text(text));
    out += '}';
    return out;
  }
  const std::string_view words = announced ? std::string_view() : std::string_view(text);
  append_member(out, "call_id", call_id);
  switch (call.kind) {
    case CallKind::function:
    case CallKind::custom:
      append_member(out, "name", call.name);
      if (!call.space.empty()) append_member(out, "namespace", call.space);
      append_member(out, call.kind == CallKind::custom ? "input" : "arguments", words);
      break;
    case CallKind::tool_search:
      out += R"(,"execution":"client","arguments":)";
      out += dump_json(object_of(words));
      break;
    case CallKind::local_shell:
      out += ",\"action\":";
      out += shell_action(words);
      break;
  }
  out += '}';
  return out;
}

}  // namespace kvern::api
