#include "chat/dialect/arguments/tagged_strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "chat/dialect/parameter_types.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kWays = 16;
constexpr int kSteps = 128;

std::int64_t count_of(const Json& schema, const char* keyword, std::int64_t otherwise) {
  const auto found = schema.find(keyword);
  if (found == schema.end() || !found->is_number()) return otherwise;
  return static_cast<std::int64_t>(std::clamp(found->get<double>(), -1.0, 1e9));
}

std::string text_of(const Json& schema, const char* keyword) {
  const auto found = schema.find(keyword);
  return found != schema.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool names_string(const Json& type) {
  return type == "string" || (type.is_array() && std::find(type.begin(), type.end(), "string") != type.end());
}

StringWay all_of(StringWay a, const StringWay& b) {
  if (!a.listed) {
    a.listed = b.listed;
  } else if (b.listed) {
    std::erase_if(*a.listed, [&b](const std::string& text) {
      return std::find(b.listed->begin(), b.listed->end(), text) == b.listed->end();
    });
  }
  a.limits.insert(a.limits.end(), b.limits.begin(), b.limits.end());
  return a;
}

class Expansion {
 public:
  explicit Expansion(const Json& root) : root_(root) {}

  std::vector<StringWay> of(const Json& schema) {
    if (schema == Json(false)) return {};
    if (!schema.is_object()) return {StringWay{}};
    if (steps_-- <= 0) {
      relax("what a string refers to is nested too deep to be enforced");
      return {StringWay{}};
    }
    std::vector<StringWay> out = own(schema);
    if (const auto reference = schema.find("$ref"); reference != schema.end()) {
      const Json* target =
          reference->is_string() ? resolve_ref(root_, reference->get_ref<const std::string&>()) : nullptr;
      if (target == nullptr) relax("$ref is not enforced in a raw string");
      if (target != nullptr) out = product(out, of(*target));
    }
    if (const auto parts = schema.find("allOf"); parts != schema.end() && parts->is_array())
      for (const Json& part : *parts) out = product(out, of(part));
    for (const char* keyword : {"anyOf", "oneOf"}) {
      const auto parts = schema.find(keyword);
      if (parts == schema.end() || !parts->is_array()) continue;
      std::vector<StringWay> choices;
      for (const Json& part : *parts) {
        for (StringWay& one : of(part)) append(choices, std::move(one));
      }
      out = product(out, choices);
    }
    return out;
  }

  std::vector<std::string> take_relaxed() { return std::move(relaxed_); }

 private:
  std::vector<StringWay> own(const Json& schema) {
    for (const char* keyword : {"not", "if"})
      if (schema.contains(keyword)) relax(fmt::format("{} is not enforced in a raw string", keyword));
    if (const auto type = schema.find("type"); type != schema.end() && !names_string(*type)) return {};
    StringWay way;
    if (const auto values = schema.find("enum"); values != schema.end() && values->is_array())
      way.listed = texts(*values);
    if (const auto value = schema.find("const"); value != schema.end())
      way = all_of(way, {texts(Json::array({*value})), {}});
    if (way.listed && way.listed->empty()) return {};
    constrain::StringKeywords limits;
    limits.pattern = text_of(schema, "pattern");
    limits.format = text_of(schema, "format");
    limits.length_min = std::max<std::int64_t>(count_of(schema, "minLength", 0), 0);
    limits.length_max = count_of(schema, "maxLength", -1);
    const bool limited =
        !limits.pattern.empty() || !limits.format.empty() || limits.length_min > 0 || limits.length_max >= 0;
    if (limited) way.limits.push_back(std::move(limits));
    return {std::move(way)};
  }

  // A choice of many constants is one list.
  static void append(std::vector<StringWay>& choices, StringWay way) {
    const bool plain = way.listed && way.limits.empty();
    if (plain && !choices.empty() && choices.back().listed && choices.back().limits.empty()) {
      choices.back().listed->insert(choices.back().listed->end(), way.listed->begin(), way.listed->end());
    } else {
      choices.push_back(std::move(way));
    }
  }

  static std::vector<std::string> texts(const Json& values) {
    std::vector<std::string> out;
    for (const Json& value : values)
      if (value.is_string()) out.push_back(value.get<std::string>());
    return out;
  }

  std::vector<StringWay> product(const std::vector<StringWay>& a, const std::vector<StringWay>& b) {
    if (a.size() * b.size() > kWays) {
      relax("choices of a raw string are too many to be enforced");
      return {StringWay{}};
    }
    std::vector<StringWay> out;
    for (const StringWay& one : a) {
      for (const StringWay& other : b) {
        StringWay way = all_of(one, other);
        if (!way.listed || !way.listed->empty()) out.push_back(std::move(way));
      }
    }
    return out;
  }

  void relax(std::string what) {
    if (std::find(relaxed_.begin(), relaxed_.end(), what) == relaxed_.end()) relaxed_.push_back(std::move(what));
  }

  const Json& root_;
  int steps_ = kSteps;
  std::vector<std::string> relaxed_;
};

}  // namespace

bool StringWays::open() const {
  return std::any_of(ways.begin(), ways.end(), [](const StringWay& way) { return way.open(); });
}

StringWays string_ways(const Json& schema, const Json& root) {
  Expansion expansion(root);
  StringWays out;
  out.ways = expansion.of(schema);
  out.relaxed = expansion.take_relaxed();
  return out;
}

}  // namespace kvern::chat
