// Schemas without $ref and allOf at their top: what those say is merged into the schema.
//
// Thread: one.
#pragma once

#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/json.h"

namespace kvern::chat {

const Json& member_of(const Json& object, std::string_view key);  // null when there is none

// Whether a schema says nothing but its $ref: descriptions and defaults do not count.
bool is_only_reference(const Json& schema);

class FlatSchemas {
 public:
  // relax: called with "/path: keyword" for what is left out. root outlives this.
  FlatSchemas(const Json& root, std::function<void(const std::string&)> relax);

  // Valid as long as this; the schema itself when it is flat already. What no longer counts or cannot
  // be followed says nothing.
  const Json& flat(const Json& schema, const std::string& path);

  // Both at once, as far as one schema can say it.
  const Json& merged(const Json& first, const Json& second, const std::string& path);

  // What a $ref names, through further ones; null when nothing.
  const Json* target(const Json& schema) const;

  const Json& root() const { return root_; }

 private:
  Json flattened(const Json& schema, const std::string& path, int depth);
  Json merge(Json first, const Json& second, const std::string& path);

  const Json& root_;
  std::function<void(const std::string&)> relax_;
  std::deque<Json> made_;
};

}  // namespace kvern::chat
