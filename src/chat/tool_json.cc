#include "chat/tool_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "base/limits.h"
#include "chat/conversation.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kKeptBytes = 1024 * 1024;  // of a tool set's text; its JSON takes several times that

// Lengths before the texts: no two sets give the same bytes.
Hash128 digest_of(std::span<const Tool> tools) {
  std::string bytes;
  for (const Tool& tool : tools) {
    for (const std::string* text : {&tool.name, &tool.description, &tool.parameters}) {
      bytes += std::to_string(text->size());
      bytes += ':';
      bytes += *text;
    }
  }
  return xxh3_128(bytes);
}

}  // namespace

std::shared_ptr<const Json> ToolJson::of(std::span<const Tool> tools) {
  const Hash128 digest = digest_of(tools);
  const auto is_it = [&digest](const auto& entry) { return entry.first == digest; };
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(latest_.begin(), latest_.end(), is_it);
    if (found != latest_.end()) {
      latest_.splice(latest_.begin(), latest_, found);
      return found->second;
    }
  }
  auto json = std::make_shared<const Json>(tools_json(tools));
  std::size_t bytes = 0;
  for (const Tool& tool : tools) bytes += tool.description.size() + tool.parameters.size();
  if (bytes > kKeptBytes) return json;
  const std::lock_guard lock(mutex_);
  latest_.emplace_front(digest, json);
  if (latest_.size() > limits::kParsedToolSets) latest_.pop_back();
  return json;
}

}  // namespace kvern::chat
