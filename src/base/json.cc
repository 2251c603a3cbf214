#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace kvern {
namespace {

// Deepest nesting of brackets outside strings. Wrong on malformed text only, which the parser
// refuses anyway.
std::size_t nesting_depth(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

std::string position(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = before.size() - (newline == std::string_view::npos ? 0 : newline + 1);
  return fmt::format("line {} column {}", line, std::max<std::size_t>(column, 1));
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (nesting_depth(text) > limits::kJsonDepth)
    return fail(Code::invalid, fmt::format("the JSON is nested deeper than {} levels", limits::kJsonDepth));
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    if (text.empty()) return fail(Code::invalid, "the JSON text is empty");
    return fail(Code::invalid, fmt::format("the JSON text is malformed at {}", position(text, e.byte)));
  } catch (const std::exception& e) {
    return fail(Code::invalid, fmt::format("the JSON text cannot be read: {}", e.what()));
  }
}

std::string dump_json(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace kvern
