#include "constrain/regex_rewrite.h"

#include <kvern_rust.h>

#include "base/utf8.h"

namespace kvern::constrain {
namespace {

constexpr std::size_t kReasonBytes = 200;

}  // namespace

Result<std::string> rewritten_regex(std::string_view pattern, RegexSyntax syntax, RegexText text) {
  std::uint32_t flags = syntax == RegexSyntax::ecma ? KV_REGEX_ECMA : 0;
  if (text == RegexText::json_string) flags |= KV_REGEX_JSON;
  if (text == RegexText::blank) flags |= KV_REGEX_BLANK;
  char* out = nullptr;
  const std::int32_t code =
      kv_regex_rewrite(reinterpret_cast<const std::uint8_t*>(pattern.data()), pattern.size(), flags, &out);
  std::string result = out ? out : "";
  kv_string_free(out);
  if (code == 0) return result;
  return fail(Code::invalid, "the regular expression cannot be used: " + shortened(result, kReasonBytes));
}

// "//" would begin a comment.
std::string lark_regex(std::string_view rewritten) {
  if (rewritten.empty()) return "\"\"";
  return "/" + std::string(rewritten) + "/";
}

}  // namespace kvern::constrain
