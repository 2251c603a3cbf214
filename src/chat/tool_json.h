// Tool sets as templates get them, made once: agents send the same tools with every request.
//
// Thread: any.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <span>

#include "base/hash.h"
#include "chat/template/jinja_template.h"
#include "core/tool.h"

namespace kvern::chat {

class ToolJson {
 public:
  // What tools_json() gives, prepared. Kept while it is one of the last few tool sets asked for, within
  // limits::kPreparedToolSets and kPreparedToolBytes.
  std::shared_ptr<const PreparedValue> of(std::span<const Tool> tools);

 private:
  struct Entry {
    Hash128 digest;
    std::shared_ptr<const PreparedValue> json;
    std::size_t bytes = 0;
  };

  std::mutex mutex_;
  std::list<Entry> latest_;  // the most recent first
  std::size_t bytes_ = 0;
};

}  // namespace kvern::chat
