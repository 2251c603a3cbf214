#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/format_fields.h"
#include "api/generation_fields.h"
#include "api/openai_responses.h"
#include "api/reasoning_fields.h"
#include "api/responses_items.h"
#include "base/json_text.h"
#include "base/limits.h"
#include "base/utf8.h"

namespace kvern::api {
namespace {

// What would change the conversation if it were ignored.
Status refuse_elsewhere(const Fields& body) {
  for (const char* name : {"conversation", "prompt"})
    if (body.find(name) != nullptr)
      return fail(Code::invalid, "nothing of that kind is kept here; send the items, or previous_response_id",
                  body.path_of(name));
  return {};
}

// text: {"format": {"type": "text" | "json_object" | "json_schema", "schema"}}
Status read_text_format(const Fields& body, ResponseFormat& out) {
  TRY(const std::optional<Fields> text, body.object("text"));
  if (!text) return {};
  TRY(const std::optional<Fields> format, text->object("format"));
  if (!format) return {};
  TRY(const std::string type, format->required_text("type"));
  if (type == "text") return {};
  if (type != "json_object" && type != "json_schema")
    return fail(Code::invalid,
                fmt::format("expected \"text\", \"json_object\" or \"json_schema\", found {}", shown(type)),
                format->path_of("type"));
  ResponseFormat read;
  read.kind = type == "json_object" ? FormatKind::json_object : FormatKind::json_schema;
  read.field = format->path();
  if (type == "json_schema") {
    TRY(const Fields schema, format->required_object("schema"));
    TRY(read.schema, schema_text(schema));
    read.field = schema.path();
  }
  out = std::move(read);
  return {};
}

Status read_include(const Fields& body, bool& seals_reasoning) {
  TRY(const Json* list, body.list("include"));
  if (list == nullptr) return {};
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto* word = (*list)[i].get_ptr<const std::string*>();
    if (word == nullptr) return mismatch(indexed(body.path_of("include"), i), "a string", (*list)[i]);
    if (*word == "reasoning.encrypted_content") seals_reasoning = true;
  }
  return {};
}

Json user_item(const std::string& text) {
  return {{"type", "message"}, {"role", "user"}, {"content", Json::array({{{"type", "input_text"}, {"text", text}}})}};
}

// About what a document takes: small values take far more than their text.
constexpr std::size_t kMemberBytes = 200;  // a name, its value, their place, and a free one in a list that has grown
constexpr std::size_t kElementBytes = 100;

std::size_t bytes_of(const Json& json) {
  if (json.is_string()) return json.get_ref<const std::string&>().size();
  std::size_t bytes = 0;
  if (json.is_array())
    for (const Json& element : json) bytes += kElementBytes + bytes_of(element);
  if (json.is_object())
    for (const auto& [name, value] : json.get_ref<const Json::object_t&>())
      bytes += kMemberBytes + name.size() + bytes_of(value);
  return bytes;
}

// The conversation, item by item: what is stored, then what was sent.
class Conversation {
 public:
  Conversation(ResponsesTools& tools, const StoredItems& stored, bool keep)
      : reader_(tools, stored), stored_(stored), keep_(keep) {}

  Status go_on(const std::string& previous, std::string path) {
    const auto known = stored_.conversation(previous);
    if (!known)
      return fail(Code::not_found, fmt::format("Previous response with id '{}' not found.", shortened(previous)),
                  std::move(path));
    items_read_ += known->size();
    for (const ItemText& text : *known) {
      TRY(const Json item, parse_json(*text));
      TRY_OK(reader_.read(item, path));
      if (keep_) items_.push_back(text);
    }
    return {};
  }

  Status add(const Json& input, const std::string& path) {
    if (const auto* text = input.get_ptr<const std::string*>()) return add_item(user_item(*text), path);
    if (!input.is_array()) return mismatch(path, "a string or a list of items", input);
    if (input.size() + items_read_ > limits::kMessages)
      return fail(Code::too_large, fmt::format("more than {} items", limits::kMessages), path);
    for (std::size_t i = 0; i < input.size(); ++i) TRY_OK(add_item(input[i], indexed(path, i)));
    return {};
  }

  // Items that are still text.
  Status add(std::span<const std::string_view> texts, std::string_view path, TextMemory& memory) {
    if (texts.size() + items_read_ > limits::kMessages)
      return fail(Code::too_large, fmt::format("more than {} items", limits::kMessages), std::string(path));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      auto known = memory.find<KnownItem>(texts[i]);
      if (!known) {
        TRY(KnownItem made, known_item(texts[i]));
        const std::size_t bytes = bytes_of(made.json) + made.text->size();
        known = memory.keep(texts[i], std::move(made), bytes);
      }
      TRY_OK(reader_.read(known->json, indexed(path, i)));
      if (keep_) items_.push_back(reader_.referred() ? reader_.referred() : known->text);
    }
    return {};
  }

  void finish(ResponsesRequest& out) {
    std::vector<Message> messages = reader_.take();
    std::move(messages.begin(), messages.end(), std::back_inserter(out.chat.messages));
    out.dropped = reader_.dropped();
    out.items = std::move(items_);
  }

 private:
  struct KnownItem {
    Json json;
    ItemText text;
  };

  static Result<KnownItem> known_item(std::string_view text) {
    TRY(Json json, parse_mended(text));
    ItemText written = std::make_shared<const std::string>(dump_json(json));
    return KnownItem{std::move(json), std::move(written)};
  }

  Status add_item(const Json& item, std::string path) {
    TRY_OK(reader_.read(item, std::move(path)));
    if (!keep_) return {};
    // What an item refers to is kept itself: the answer it was part of may be forgotten first.
    const ItemText& referred = reader_.referred();
    items_.push_back(referred ? referred : std::make_shared<const std::string>(dump_json(item)));
    return {};
  }

  ItemReader reader_;
  const StoredItems& stored_;
  const bool keep_;
  std::vector<ItemText> items_;
  std::size_t items_read_ = 0;  // of what is stored
};

Status read_conversation(const RequestBody& parts, ResponsesTools& tools, const StoredItems& stored,
                         ResponsesRequest& out, bool keep_items) {
  const Fields body = parts.fields();
  std::string instructions;
  TRY_OK(body.text("instructions", instructions));
  if (!instructions.empty()) out.chat.messages.push_back(text_message(Role::system, std::move(instructions)));
  Conversation conversation(tools, stored, keep_items);
  std::string previous;
  TRY_OK(body.text("previous_response_id", previous));
  if (!previous.empty()) TRY_OK(conversation.go_on(previous, body.path_of("previous_response_id")));
  const auto texts = parts.item_texts("input");
  const Json* input = body.find("input");
  if (input == nullptr && previous.empty()) return body.missing("input", "a string or a list of items");
  if (!texts.empty()) {
    TRY_OK(conversation.add(texts, "input", *parts.memory()));
  } else if (input != nullptr) {
    TRY_OK(conversation.add(*input, body.path_of("input")));
  }
  conversation.finish(out);
  if (out.chat.messages.empty())
    return fail(Code::invalid, "expected at least one item that says something", body.path_of("input"));
  return {};
}

void append_member(std::string& out, std::string_view name, std::string_view json) {
  if (!out.empty()) out += ',';
  append_json_string(out, name);
  out += ':';
  out += json;
}

std::string json_or(const Fields& body, const char* name, std::string_view otherwise) {
  const Json* value = body.find(name);
  return value == nullptr ? std::string(otherwise) : dump_json(*value);
}

std::string echo_of(const Fields& body, const ResponsesRequest& request, std::string_view tools) {
  const Json* reasoning = body.find("reasoning");
  const Json* text = body.find("text");
  const auto inner = [](const Json* object, const char* name, std::string_view otherwise) {
    if (object == nullptr || !object->is_object()) return std::string(otherwise);
    const auto found = object->find(name);
    return found == object->end() || found->is_null() ? std::string(otherwise) : dump_json(*found);
  };
  std::string out;
  append_member(out, "background", "false");
  for (const char* name : {"instructions", "max_output_tokens", "max_tool_calls", "previous_response_id",
                           "prompt_cache_key", "safety_identifier", "user"})
    append_member(out, name, json_or(body, name, "null"));
  append_member(out, "metadata", json_or(body, "metadata", "{}"));
  append_member(out, "parallel_tool_calls", request.chat.parallel_tool_calls ? "true" : "false");
  append_member(out, "reasoning",
                fmt::format(R"({{"effort":{},"summary":{}}})", inner(reasoning, "effort", "null"),
                            inner(reasoning, "summary", "null")));
  append_member(out, "service_tier", R"("default")");
  append_member(out, "store", request.store ? "true" : "false");
  append_member(out, "temperature", fmt::format("{}", request.chat.sampling.temperature));
  append_member(out, "text",
                fmt::format(R"({{"format":{},"verbosity":{}}})", inner(text, "format", R"({"type":"text"})"),
                            inner(text, "verbosity", R"("medium")")));
  append_member(out, "tool_choice", json_or(body, "tool_choice", R"("auto")"));
  append_member(out, "tools", tools);
  append_member(out, "top_logprobs", "0");
  append_member(out, "top_p", fmt::format("{}", request.chat.sampling.top_p));
  append_member(out, "truncation", R"("disabled")");
  return out;
}

constexpr std::string_view kLists[] = {"tools"};
constexpr std::string_view kOfItems[] = {"input"};

Result<ResponsesRequest> read_request(const RequestBody& body, const StoredItems& stored,
                                      const RequestDefaults& defaults, bool keep_items) {
  const Fields fields = body.fields();
  ResponsesRequest request;
  ChatRequest& chat = request.chat;
  TRY_OK(refuse_elsewhere(fields));
  TRY_OK(fields.text("model", chat.model));
  TRY_OK(fields.flag("store", request.store));
  TRY_OK(fields.flag("stream", chat.stream));
  TRY_OK(read_include(fields, request.seals_reasoning));
  TRY_OK(fields.object("metadata"));
  chat.sampling = defaults.sampling;
  TRY_OK(read_sampling(fields, chat.sampling));
  TRY_OK(read_token_limit(fields, "max_output_tokens", chat.tokens_max));
  if (!chat.tokens_max) chat.tokens_max = defaults.tokens_max;
  TRY_OK(read_stops(fields, "stop", chat.stops));
  TRY_OK(read_session(fields, chat.session));
  TRY(chat.format, read_format(fields));
  TRY_OK(read_text_format(fields, chat.format));
  TRY_OK(fields.flag("parallel_tool_calls", chat.parallel_tool_calls));
  TRY(ReasoningFields reasoning, read_reasoning_fields(fields, defaults.template_kwargs));
  chat.reasoning = std::move(reasoning.reasoning);
  chat.template_kwargs = std::move(reasoning.template_kwargs);

  TRY(OfferedResponsesTools offered, read_responses_tools(body));
  ResponsesTools& tools = offered.tools;
  TRY_OK(read_conversation(body, tools, stored, request, keep_items || request.store));
  TRY(chat.tool_choice, read_responses_tool_choice(fields, tools));
  chat.tools = std::move(tools.tools);
  request.names = std::move(tools.names);
  request.echo = echo_of(fields, request, offered.echo);
  return request;
}

}  // namespace

Result<ResponsesRequest> parse_responses_request(std::string_view body, const StoredItems& stored,
                                                 const RequestDefaults& defaults, bool keep_items, TextMemory* memory) {
  return read_body(body, {kLists, kOfItems}, memory,
                   [&](const RequestBody& parts) { return read_request(parts, stored, defaults, keep_items); });
}

}  // namespace kvern::api
