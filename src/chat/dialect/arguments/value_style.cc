// What all styles of values have in common.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "chat/dialect/arguments/flat_schema.h"
#include "chat/dialect/arguments/value_rules.h"
#include "chat/dialect/lark_text.h"
#include "constrain/schema.h"
#include "constrain/text_grammar.h"

namespace kvern::chat {

std::string ValueStyle::boolean(bool value) const { return scalar(value ? "\"true\"" : "\"false\""); }

std::string ValueStyle::null() const { return scalar("\"null\""); }

std::string ValueStyle::up_to(const std::string& terminal, std::string_view end) const {
  if (begins_with_control(end, parts.vocab)) return terminal + " " + lark_text(end, parts.vocab);
  const std::string body = fmt::format("{} {}", terminal, constrain::lark_literal(end));
  const std::string name = fmt::format("up_to_{:016x}", xxh3_128(body).low);
  parts.share(name + "[lazy]", body);
  return name;
}

std::string ValueStyle::raw_terminal(const Json& schema, std::string_view forbidden, const std::string& path) const {
  constrain::StringKeywords keywords;
  const auto text = [&schema](const char* keyword) {
    const Json& found = member_of(schema, keyword);
    return found.is_string() ? found.get<std::string>() : std::string();
  };
  const auto number = [&schema](const char* keyword, std::int64_t otherwise) {
    const Json& found = member_of(schema, keyword);
    return found.is_number_integer() ? found.get<std::int64_t>() : otherwise;
  };
  keywords.pattern = text("pattern");
  keywords.format = text("format");
  keywords.length_min = number("minLength", 0);
  keywords.length_max = number("maxLength", -1);
  std::vector<std::string> relaxed;
  const auto body = constrain::string_terminal(keywords, forbidden, relaxed);
  for (const std::string& what : relaxed) parts.relax(tool, fmt::format("{}: {}", path, what));
  if (!body) parts.relax(tool, fmt::format("{}: {}", path, body.error().message));
  if (!body || body->empty()) return "TEXT";
  const std::string name = fmt::format("TEXT_{:016X}", xxh3_128(*body).low);
  parts.share(name, *body);
  return name;
}

std::string all_but(std::string_view pattern, const std::vector<std::string>& texts) {
  std::string out = fmt::format("/{}/", pattern);
  if (texts.empty()) return out;
  std::string known;
  for (const std::string& text : texts) known += (known.empty() ? "" : "|") + regex_text(text);
  return fmt::format("{} & ~/({})/", out, known);
}

}  // namespace kvern::chat
