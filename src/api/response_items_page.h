// GET /v1/responses/{id}/input_items: which items, and the list they come in. Pure; thread: any.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "api/openai_responses.h"
#include "base/result.h"

namespace kvern::api {

// The value of a query's field as it stands there; "" when absent.
std::string_view query_value(std::string_view query, std::string_view name);

struct PageQuery {
  std::size_t limit = 20;
  bool newest_first = true;
  std::string after;  // an item's id; empty: from the beginning
};

// limit (1 to 100), order ("asc", "desc"), after.
Result<PageQuery> parse_page_query(std::string_view query);

// items: oldest first. Those without an id get one made of the response's and their place; a message's text
// becomes a list of parts.
Result<std::string> encode_items_page(std::span<const ItemText> items, std::string_view response_id,
                                      const PageQuery& query);

}  // namespace kvern::api
