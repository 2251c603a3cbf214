// What a schema says about a parameter that is a string written raw. Thread: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "constrain/text_grammar.h"

namespace kvern::chat {

// One way to be such a string: one of the listed texts, or any text that obeys all limits.
struct StringWay {
  std::optional<std::vector<std::string>> listed;
  std::vector<constrain::StringKeywords> limits;

  bool open() const { return !listed && limits.empty(); }
};

// A string is valid when one of the ways takes it. No way: the schema allows no string.
struct StringWays {
  std::vector<StringWay> ways;
  std::vector<std::string> relaxed;  // keywords that are not enforced

  bool open() const;
};
StringWays string_ways(const Json& schema, const Json& root);

}  // namespace kvern::chat
