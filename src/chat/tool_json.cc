#include "chat/tool_json.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "base/limits.h"
#include "chat/conversation.h"

namespace kvern::chat {
namespace {

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

std::shared_ptr<const PreparedValue> ToolJson::of(std::span<const Tool> tools) {
  const Hash128 digest = digest_of(tools);
  const auto is_it = [&digest](const auto& entry) { return entry.digest == digest; };
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(latest_.begin(), latest_.end(), is_it);
    if (found != latest_.end()) {
      latest_.splice(latest_.begin(), latest_, found);
      return found->json;
    }
  }
  auto json = prepare_value(tools_json(tools));
  const std::size_t bytes = bytes_of(*json);
  if (bytes > limits::kPreparedToolBytes) return json;
  decltype(latest_) gone;  // destroyed without the mutex
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(latest_.begin(), latest_.end(), is_it);
  if (found != latest_.end()) return found->json;  // another thread was as quick
  latest_.push_front({digest, json, bytes});
  bytes_ += bytes;
  while (latest_.size() > limits::kPreparedToolSets || bytes_ > limits::kPreparedToolBytes) {
    bytes_ -= latest_.back().bytes;
    gone.splice(gone.begin(), latest_, std::prev(latest_.end()));
  }
  return json;
}

}  // namespace kvern::chat
