// For tests: what was written, read back.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"

namespace kvern::api::testing {

inline Json parsed(const std::string& text) {
  const auto json = parse_json(text);
  EXPECT_TRUE(json) << text;
  return json ? *json : Json();
}

}  // namespace kvern::api::testing
