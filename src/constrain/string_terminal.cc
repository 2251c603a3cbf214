#include <fmt/format.h>
#include <kvern_rust.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/limits.h"
#include "constrain/regex_rewrite.h"
#include "constrain/string_formats.h"
#include "constrain/text_grammar.h"

namespace kvern::constrain {
namespace {

constexpr std::int64_t kLengthMax = 100'000;  // larger ones bound nothing a model writes

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte >= 0x80 ? std::string(1, c) : fmt::format("\\x{:02X}", byte);
  }
  return out;
}

// Regular expressions that all must match the whole value, and such that none may.
class Conditions {
 public:
  void require(std::string regex) { all_.push_back(std::move(regex)); }
  void forbid(std::string regex) { none_.push_back(std::move(regex)); }

  // The first occurrence of the closing tag must be its own: the value neither contains it, nor ends with
  // a part that makes one together with its beginning ("\n</p>" before "\n</p>\n").
  void forbid_tag(std::string_view tag) {
    if (tag.empty()) return;
    forbid(fmt::format("(?s:.*){}(?s:.*)", escaped(tag)));
    for (std::size_t border = 1; border < tag.size(); ++border)
      if (tag.ends_with(tag.substr(0, border)))
        forbid(fmt::format("(?s:.*){}", escaped(tag.substr(0, tag.size() - border))));
  }

  bool can_be_met() const {
    const std::string query = dump_json(Json{{"all", all_}, {"none", none_}});
    return kv_regex_satisfiable(reinterpret_cast<const std::uint8_t*>(query.data()), query.size()) == 1;
  }

  std::string lark() const {
    std::string out;
    for (const std::string& regex : all_) out += fmt::format("{}{}", out.empty() ? "" : " & ", lark_regex(regex));
    for (const std::string& regex : none_) out += fmt::format("{}~{}", out.empty() ? "" : " & ", lark_regex(regex));
    return out;
  }

 private:
  std::vector<std::string> all_;
  std::vector<std::string> none_;
};

// Slashes are what Lark ends a regular expression at.
Status add_format(Conditions& conditions, std::string_view format, std::vector<std::string>& relaxed) {
  const FormatRegexes regexes = format_regexes(format);
  if (regexes.form.empty()) {
    relaxed.push_back(fmt::format("format \"{}\"", format));
    return {};
  }
  for (const std::string_view regex : {regexes.form, regexes.length}) {
    if (regex.empty()) continue;
    TRY(std::string rewritten, rewritten_regex(regex, RegexSyntax::rust, RegexText::raw));
    conditions.require(std::move(rewritten));
  }
  return {};
}

void add_lengths(Conditions& conditions, const StringKeywords& keywords, std::vector<std::string>& relaxed) {
  const std::int64_t least = std::max<std::int64_t>(keywords.length_min, 0);
  if (least > kLengthMax) {
    relaxed.emplace_back("minLength");
    return;
  }
  if (least == 0 && keywords.length_max < 0) return;
  const bool open = keywords.length_max < 0 || keywords.length_max > kLengthMax;
  if (open && keywords.length_max >= 0) relaxed.emplace_back("maxLength");
  conditions.require(
      fmt::format("(?s:.){{{},{}}}", least, open ? "" : std::to_string(std::max(keywords.length_max, least))));
}

}  // namespace

Result<std::string> string_terminal(const StringKeywords& keywords, std::string_view forbidden,
                                    std::vector<std::string>& relaxed) {
  Conditions conditions;
  std::vector<std::string> lost;
  if (!keywords.pattern.empty()) {
    if (auto pattern = rewritten_regex(keywords.pattern, RegexSyntax::ecma, RegexText::raw)) {
      conditions.require(*std::move(pattern));
    } else {
      lost.emplace_back("pattern");
    }
  }
  if (!keywords.format.empty()) {
    TRY_OK(add_format(conditions, keywords.format, lost));
  }
  add_lengths(conditions, keywords, lost);
  if (conditions.lark().empty()) {
    relaxed.insert(relaxed.end(), lost.begin(), lost.end());
    return std::string();
  }
  conditions.forbid_tag(forbidden);
  const bool contradicts = keywords.length_max >= 0 && keywords.length_max < keywords.length_min;
  if (contradicts || !conditions.can_be_met()) {
    relaxed.emplace_back("pattern, format and lengths: no value was found that meets them all");
    return std::string();
  }
  relaxed.insert(relaxed.end(), lost.begin(), lost.end());
  return conditions.lark();
}

}  // namespace kvern::constrain
