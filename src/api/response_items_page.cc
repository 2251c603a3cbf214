#include "api/response_items_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json.h"

namespace kvern::api {
namespace {

constexpr std::size_t kPageItems = 100;

// With what SDKs' types ask for.
Json complete(const std::string& text, std::string_view response_id, std::size_t number) {
  Json item = parse_json(text).value_or(Json::object());
  const auto id = item.find("id");
  if (id == item.end() || !id->is_string()) item["id"] = fmt::format("in_{}_{}", response_id, number);
  if (!item.contains("type")) item["type"] = "message";
  const auto content = item.find("content");
  if (item["type"] == "message" && content != item.end() && content->is_string()) {
    const bool assistant = item.contains("role") && item["role"] == "assistant";
    const Json words = *content;
    item["content"] = Json::array({{{"type", assistant ? "output_text" : "input_text"}, {"text", words}}});
    if (assistant) item["content"][0]["annotations"] = Json::array();
  }
  if (!item.contains("status")) item["status"] = "completed";
  return item;
}

}  // namespace

std::string_view query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return {};
}

Result<PageQuery> parse_page_query(std::string_view query) {
  PageQuery out;
  if (const std::string_view limit = query_value(query, "limit"); !limit.empty()) {
    const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), out.limit);
    if (error != std::errc() || end != limit.data() + limit.size() || out.limit < 1 || out.limit > kPageItems)
      return fail(Code::invalid, fmt::format("expected a whole number from 1 to {}", kPageItems), "limit");
  }
  const std::string_view order = query_value(query, "order");
  if (!order.empty() && order != "asc" && order != "desc")
    return fail(Code::invalid, "expected \"asc\" or \"desc\"", "order");
  out.newest_first = order != "asc";
  out.after = std::string(query_value(query, "after"));
  return out;
}

Result<std::string> encode_items_page(std::span<const ItemText> items, std::string_view response_id,
                                      const PageQuery& query) {
  std::vector<Json> all;
  for (std::size_t i = 0; i < items.size(); ++i) all.push_back(complete(*items[i], response_id, i));
  if (query.newest_first) std::reverse(all.begin(), all.end());
  auto begin = all.begin();
  if (!query.after.empty()) {
    begin = std::find_if(all.begin(), all.end(), [&](const Json& item) { return item["id"] == query.after; });
    if (begin == all.end()) return fail(Code::invalid, "no item of this response has that id", "after");
    ++begin;
  }
  const auto count = std::min<std::ptrdiff_t>(all.end() - begin, static_cast<std::ptrdiff_t>(query.limit));
  Json page = {{"object", "list"}, {"data", Json::array()}, {"first_id", nullptr}, {"last_id", nullptr}};
  page["has_more"] = begin + count != all.end();
  if (count > 0) {
    page["first_id"] = (*begin)["id"];
    page["last_id"] = (*(begin + count - 1))["id"];
  }
  for (auto item = begin; item != begin + count; ++item) page["data"].push_back(std::move(*item));
  return dump_json(page);
}

}  // namespace kvern::api
