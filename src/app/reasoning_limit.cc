#include "app/reasoning_limit.h"

namespace kvern::app {

ReasoningLimit reasoning_limit(const chat::Dialect& dialect, bool in_reasoning, const Reasoning& wanted,
                               const Vocab& vocab) {
  ReasoningLimit limit;
  if (!wanted.tokens_max || dialect.reasoning_end.empty()) return limit;
  limit.tokens_max = *wanted.tokens_max;
  limit.open = in_reasoning;
  limit.begin = dialect.reasoning_begin;
  limit.end = dialect.reasoning_end;
  const std::string close = dialect.reasoning_close.empty() ? "\n" + std::string(dialect.reasoning_end) + "\n\n"
                                                            : std::string(dialect.reasoning_close);
  vocab.tokenize(close, SpecialTokens::as_tokens, limit.close);
  return limit;
}

}  // namespace kvern::app
