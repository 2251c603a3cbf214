#include "api/request_body.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace kvern::api {
namespace {

bool is_among(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_object_text(std::string_view text) { return text.size() >= 2 && text.front() == '{' && text.back() == '}'; }

bool is_list_text(std::string_view text) { return text.size() >= 2 && text.front() == '[' && text.back() == ']'; }

// Two members of one name, or one whose name is written with escapes and could be any: which of them counts is
// for the parser to say.
bool has_doubtful_names(const std::vector<JsonMember>& members) {
  std::vector<std::string_view> names;
  for (const JsonMember& member : members) {
    if (member.name.find('\\') != std::string_view::npos) return true;
    names.push_back(member.name);
  }
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

// Copies a text with some of its parts, which come in order, put into other words.
class Rewriter {
 public:
  explicit Rewriter(std::string_view text) : text_(text) {}

  void replace(std::string_view part, std::string_view by) {
    const auto begin = static_cast<std::size_t>(part.data() - text_.data());
    out_ += text_.substr(copied_, begin - copied_);
    out_ += by;
    copied_ = begin + part.size();
  }

  std::string take() {
    out_ += text_.substr(copied_);
    return std::move(out_);
  }

 private:
  const std::string_view text_;
  std::size_t copied_ = 0;
  std::string out_;
};

}  // namespace

RequestBody::RequestBody(Json document) : document_(std::make_shared<const Json>(std::move(document))) {}

Result<RequestBody> RequestBody::whole(std::string_view text) {
  TRY(Json document, parse_body(text));
  return RequestBody(std::move(document));
}

std::optional<RequestBody> RequestBody::in_parts(std::string_view text, const PartNames& names, TextMemory& memory) {
  auto members = outline_of(text, limits::kMessages);
  if (!members || has_doubtful_names(*members)) return std::nullopt;
  Rewriter rest(text);
  std::vector<JsonMember> parts;
  for (JsonMember& member : *members) {
    const auto& items = member.items;
    if (is_among(member.name, names.lists) && is_list_text(member.value)) {
      rest.replace(member.value, "[]");
    } else if (is_among(member.name, names.of_items) && std::all_of(items.begin(), items.end(), is_object_text)) {
      for (const std::string_view item : items) rest.replace(item, "{}");
    } else {
      continue;
    }
    parts.push_back(std::move(member));
  }
  Result<Json> document = parse_body(rest.take());
  if (!document) return std::nullopt;
  RequestBody body(std::move(*document));
  body.memory_ = &memory;
  body.parts_ = std::move(parts);
  return body;
}

Fields RequestBody::fields() const { return *Fields::of(*document_, ""); }

std::string_view RequestBody::list_text(std::string_view name) const {
  for (const JsonMember& part : parts_)
    if (part.name == name) return part.value;
  return {};
}

std::span<const std::string_view> RequestBody::item_texts(std::string_view name) const {
  for (const JsonMember& part : parts_)
    if (part.name == name) return part.items;
  return {};
}

std::size_t bytes_of(const Message& message) {
  std::size_t bytes = sizeof message + message.content.size() + message.reasoning.size() + message.tool_call_id.size() +
                      message.name.size();
  for (const ToolCall& call : message.tool_calls)
    bytes += sizeof call + call.id.size() + call.name.size() + call.arguments.size();
  return bytes;
}

std::size_t bytes_of(std::span<const Message> messages) {
  std::size_t bytes = 0;
  for (const Message& message : messages) bytes += bytes_of(message);
  return bytes;
}

std::size_t bytes_of(const Tool& tool) {
  return sizeof tool + tool.name.size() + tool.description.size() + tool.parameters.size() +
         tool.input.definition.size() + tool.parameters_fault.size();
}

std::size_t bytes_of(std::span<const Tool> tools) {
  std::size_t bytes = 0;
  for (const Tool& tool : tools) bytes += bytes_of(tool);
  return bytes;
}

}  // namespace kvern::api
