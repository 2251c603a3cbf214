// Tool sets as templates get them, made once: agents send the same tools with every request.
//
// Thread: any.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>

#include "base/limits.h"
#include "chat/template/jinja_template.h"
#include "constrain/lru.h"
#include "core/tool.h"

namespace kvern::chat {

class ToolJson {
 public:
  // What tools_json() gives, prepared. Kept while it is one of the last few tool sets asked for, within
  // limits::kPreparedToolSets and kPreparedToolBytes.
  std::shared_ptr<const PreparedValue> of(std::span<const Tool> tools);

 private:
  std::mutex mutex_;
  constrain::Lru<std::shared_ptr<const PreparedValue>> latest_{limits::kPreparedToolSets, limits::kPreparedToolBytes};
};

}  // namespace kvern::chat
