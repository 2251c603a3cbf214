// The JSON of tool sets, parsed once: agents send the same tools with every request.
//
// Thread: any.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "base/hash.h"
#include "base/json.h"
#include "core/tool.h"

namespace kvern::chat {

class ToolJson {
 public:
  // What tools_json() gives. Kept while it is one of the last few tool sets asked for, unless it
  // is very large.
  std::shared_ptr<const Json> of(std::span<const Tool> tools);

 private:
  std::mutex mutex_;
  std::list<std::pair<Hash128, std::shared_ptr<const Json>>> latest_;  // the most recent first
};

}  // namespace kvern::chat
