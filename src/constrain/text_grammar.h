// A client's own rule for a text - Lark, GBNF, a regular expression, a list - as a piece of the turn's
// grammar. Thread: any.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "constrain/constraint.h"
#include "core/tool.h"

namespace kvern::constrain {

enum class TextForm {
  raw,         // the text as it is
  json_string  // the text between the quotes of a JSON string: escapes where JSON wants them; a quote must follow
};

// An expression for the right side of a Lark rule; it brings no rule names of its own into the grammar
// around it and matches exactly the texts the rule allows (`any`: every text).
// With json_string, literals and regular expressions are rewritten so that a quote, a backslash or a
// control character is matched by its escape.
// GBNF: literals, classes, groups, alternatives, * + ? {m,n}, comments, rule `root`; what is missing
// is named. Code::invalid with the line of the client's text where one is known; the result was
// compiled once, so a grammar that holds it does not fail because of it. Kept by content hash.
// A raw rule is read as far as it goes: what follows it in the grammar should not be what it could go on
// with. A grammar that holds one (other than `any`) has no forced tokens.
Result<std::string> text_expression(Compiler& compiler, const TextRule& rule, TextForm form);

// One of these, exactly. Code::invalid when there is none.
Result<std::string> choice_expression(std::span<const std::string> choices);

// A string schema's pattern, lengths and format as one regular expression over the raw text, for
// dialects that write strings without quotes. ECMA-262 pattern: not anchored. Empty when the schema
// asks for nothing of that kind; what cannot be expressed is left out and named in relaxed.
struct StringKeywords {
  std::string pattern = {};
  std::string format = {};
  std::int64_t length_min = 0;
  std::int64_t length_max = -1;  // in characters; -1: open
};
Result<std::string> string_terminal(const StringKeywords& keywords, std::string_view forbidden,
                                    std::vector<std::string>& relaxed);

}  // namespace kvern::constrain
