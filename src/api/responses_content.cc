#include "api/responses_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace kvern::api {
namespace {

std::string_view medium_of(std::string_view type) {
  if (type.find("image") != std::string_view::npos || type.find("screenshot") != std::string_view::npos) return "image";
  if (type.find("audio") != std::string_view::npos) return "audio clip";
  if (type.find("video") != std::string_view::npos) return "video";
  if (type.find("file") != std::string_view::npos) return "file";
  return "part";
}

// A model that is told of a missing picture can say so; an error would come back with every later request.
void append_placeholder(const Json& part, std::string_view type, std::string& out) {
  if (!out.empty() && out.back() != '\n') out += '\n';
  out += fmt::format("[{}", medium_of(type));
  const auto name = part.find("filename");
  if (name != part.end() && name->is_string()) out += ' ' + shown(name->get_ref<const std::string&>());
  out += " left out: this model reads only text]\n";
}

Status append_part(const Json& part, std::string path, std::string& out) {
  if (const auto* text = part.get_ptr<const std::string*>()) {
    out += *text;
    return {};
  }
  TRY(const Fields fields, Fields::of(part, std::move(path)));
  std::string type;
  TRY_OK(fields.text("type", type));
  const char* name = type == "refusal" ? "refusal" : "text";
  const Json* text = fields.find(name);
  if (text == nullptr) {
    if (type.empty() || type == "refusal" || type.ends_with("text")) return fields.missing(name, "a string");
    append_placeholder(part, type, out);
    return {};
  }
  std::string words;
  TRY_OK(fields.text(name, words));
  out += words;
  return {};
}

}  // namespace

Status append_content(const Json& content, const std::string& path, std::string& out) {
  if (content.is_null()) return {};
  if (content.is_string() || content.is_object()) return append_part(content, path, out);
  if (!content.is_array()) return mismatch(path, "a string or a list of parts", content);
  if (content.size() > limits::kContentParts)
    return fail(Code::too_large, fmt::format("more than {} parts in one item", limits::kContentParts), path);
  for (std::size_t i = 0; i < content.size(); ++i) TRY_OK(append_part(content[i], indexed(path, i), out));
  return {};
}

Status append_output(const Json& output, const std::string& path, std::string& out) {
  const auto is_part = [](const Json& value) {
    return value.is_string() || (value.is_object() && value.contains("type"));
  };
  bool parts = output.is_null() || is_part(output);
  if (output.is_array()) parts = std::all_of(output.begin(), output.end(), is_part);
  if (parts) return append_content(output, path, out);
  out += dump_json(output);
  return {};
}

}  // namespace kvern::api
