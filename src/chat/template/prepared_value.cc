#include "chat/template/prepared_value.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/limits.h"
#include "chat/template/values.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kMemberBytes = 1'000;  // a name, its value, and their places in the object
constexpr std::size_t kItemBytes = 500;

std::size_t bytes_of(const Json& json) {
  if (json.is_string()) return json.get_ref<const std::string&>().size();
  if (!json.is_structured()) return 0;
  std::size_t bytes = 0;
  for (const Json& item : json) bytes += (json.is_object() ? kMemberBytes : kItemBytes) + bytes_of(item);
  return bytes;
}

}  // namespace

PreparedValue::PreparedValue(const Json& document)
    : value_(input_value(document, heights_)), bytes_(bytes_of(document) + limits::kPreparedTextBytes) {}

std::optional<int> PreparedValue::height_of(const jinja::value& container) const {
  const auto known = heights_.find(container.get());
  return known == heights_.end() ? std::nullopt : std::optional(known->second);
}

jinja::value PreparedValue::json_of(const jinja::value& container, const JsonLayout& layout) const {
  const std::pair key(container.get(), layout);
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = texts_.find(key); known != texts_.end()) return known->second;
  }
  const std::string text = value_to_json_text(container, layout);
  jinja::value made = mk_val<jinja::value_string>(text);
  const std::lock_guard lock(mutex_);
  if (text_bytes_ + text.size() > limits::kPreparedTextBytes) return made;
  if (texts_.emplace(key, made).second) text_bytes_ += text.size();
  return made;
}

}  // namespace kvern::chat
