#include "chat/template/values.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "chat/template/python_text.h"
#include "chat/template/strings.h"

namespace kvern::chat {
namespace {

struct Built {
  jinja::value value;
  int height = 0;
};

class Builder {
 public:
  // What is told each container of the input and its levels; none: constants.
  explicit Builder(std::function<void(const jinja::value&, int)> tell = nullptr) : tell_(std::move(tell)) {}

  Built build(const Json& json) {
    switch (json.type()) {
      case Json::value_t::boolean: return {mk_val<jinja::value_bool>(json.get<bool>())};
      case Json::value_t::number_integer: return {mk_val<jinja::value_int>(json.get<std::int64_t>())};
      case Json::value_t::number_unsigned: return {unsigned_number(json.get<std::uint64_t>())};
      case Json::value_t::number_float: return {mk_val<jinja::value_float>(json.get<double>())};
      case Json::value_t::string: return {string(json.get_ref<const std::string&>())};
      case Json::value_t::array: return array(json);
      case Json::value_t::object: return object(json);
      default: return {mk_val<jinja::value_none>()};
    }
  }

 private:
  static jinja::value unsigned_number(std::uint64_t number) {
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return std::make_shared<LargeInteger>(number);
    return mk_val<jinja::value_int>(static_cast<std::int64_t>(number));
  }

  jinja::value string(const std::string& text) const {
    return tell_ ? mk_val<jinja::value_string>(text) : trusted_value(text);
  }

  Built array(const Json& json) {
    auto result = mk_val<jinja::value_array>();
    result->val_arr.reserve(json.size());
    int deepest = 0;
    for (const Json& item : json) {
      Built built = build(item);
      deepest = std::max(deepest, built.height);
      result->val_arr.push_back(std::move(built.value));
    }
    return finish(std::move(result), deepest);
  }

  Built object(const Json& json) {
    auto result = mk_val<jinja::value_object>();
    int deepest = 0;
    for (const auto& [name, item] : json.items()) {
      Built built = build(item);
      deepest = std::max(deepest, built.height);
      result->insert(string(name), built.value);
    }
    return finish(std::move(result), deepest);
  }

  Built finish(jinja::value container, int deepest) {
    if (tell_) tell_(container, deepest + 1);
    return {std::move(container), deepest + 1};
  }

  const std::function<void(const jinja::value&, int)> tell_;
};

}  // namespace

void set_variables(jinja::context& context, const Json& variables, RenderState& state) {
  Builder builder([&state](const jinja::value& container, int height) { state.add_input(container, height); });
  for (const auto& [name, json] : variables.items()) context.set_val(name, builder.build(json).value);
}

jinja::value input_value(const Json& json, std::unordered_map<const jinja::value_t*, int>& heights) {
  Builder builder([&heights](const jinja::value& container, int height) { heights[container.get()] = height; });
  return builder.build(json).value;
}

void set_constants(jinja::context& context, const Json& constants) {
  Builder builder;
  for (const auto& [name, json] : constants.items()) context.set_val(name, builder.build(json).value);
}

}  // namespace kvern::chat
