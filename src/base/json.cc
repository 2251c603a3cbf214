#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_outline.h"

namespace kvern {
namespace {

std::string position(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = before.size() - (newline == std::string_view::npos ? 0 : newline + 1);
  return fmt::format("line {} column {}", line, std::max<std::size_t>(column, 1));
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  TRY_OK(check_json_shape(text));
  // The parser takes it for the end, whatever follows.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos)
    return fail(Code::invalid, fmt::format("the JSON text is malformed at {}", position(text, zero + 1)));
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    if (text.empty()) return fail(Code::invalid, "the JSON text is empty");
    return fail(Code::invalid, fmt::format("the JSON text is malformed at {}", position(text, e.byte)));
  } catch (const Json::out_of_range&) {
    return fail(Code::invalid, "the JSON text holds a number that is too large");
  } catch (const std::exception& e) {
    return fail(Code::invalid, fmt::format("the JSON text cannot be read: {}", e.what()));
  }
}

std::string dump_json(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace kvern
