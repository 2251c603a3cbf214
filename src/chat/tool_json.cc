#include "chat/tool_json.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/hash.h"
#include "base/sized_text.h"
#include "chat/conversation.h"

namespace kvern::chat {
namespace {

Hash128 digest_of(std::span<const Tool> tools) {
  std::string bytes;
  for (const Tool& tool : tools)
    for (const std::string* text : {&tool.name, &tool.description, &tool.parameters}) append_sized(bytes, *text);
  return xxh3_128(bytes);
}

}  // namespace

std::shared_ptr<const PreparedValue> ToolJson::of(std::span<const Tool> tools) {
  const Hash128 digest = digest_of(tools);
  {
    const std::lock_guard lock(mutex_);
    if (const auto* known = latest_.find(digest)) return *known;
  }
  auto json = prepare_value(tools_json(tools));
  const std::size_t bytes = bytes_of(*json);
  if (bytes > limits::kPreparedToolBytes) return json;
  const std::lock_guard lock(mutex_);
  if (const auto* known = latest_.find(digest)) return *known;  // another thread was as quick
  latest_.put(digest, json, bytes);
  return json;
}

}  // namespace kvern::chat
