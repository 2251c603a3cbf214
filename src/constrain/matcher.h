// Matchers of llguidance: a prototype made once per grammar, and clones of it, one a generation.
#pragma once

#include <llguidance.h>

#include <memory>
#include <string>
#include <string_view>

#include "constrain/constraint.h"
#include "constrain/tokenizer.h"

namespace kvern::constrain {

struct FreeMatcher {
  void operator()(LlgMatcher* matcher) const { llg_free_matcher(matcher); }
};
using MatcherHandle = std::unique_ptr<LlgMatcher, FreeMatcher>;

// Settings every use of llguidance here shares: nothing on stderr, no generated text in errors.
LlgConstraintInit constraint_init(const Tokenizer& tokenizer);

// llguidance's message without the quoted grammar lines and not longer than a reader reads.
std::string readable_error(std::string_view message);

// A matcher whose first mask is built, so the automata its clones begin with are warm.
// Code::invalid with llguidance's words. Call it on a deep stack.
Result<MatcherHandle> make_prototype(const Tokenizer& tokenizer, const std::string& lark);

// Follows the grammar for a few tokens. Code::invalid when it gets stuck or runs out of its limits,
// as a schema does that only an infinite value would meet. Call it on a deep stack.
Status try_first_tokens(const Tokenizer& tokenizer, LlgMatcher* matcher);

std::shared_ptr<const Compiled> make_compiled(std::shared_ptr<const Tokenizer> tokenizer, MatcherHandle prototype);

}  // namespace kvern::constrain
