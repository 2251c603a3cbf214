// The one implementation of Compiler, and what SchemaFitter needs beyond it.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "constrain/constraint.h"
#include "constrain/lru.h"
#include "constrain/tokenizer.h"

namespace kvern::constrain {

class GrammarCompiler final : public Compiler {
 public:
  explicit GrammarCompiler(std::shared_ptr<const Tokenizer> tokenizer);

  Result<std::shared_ptr<const Compiled>> compile(const std::string& lark) override;
  std::size_t compiled_count() const override { return compiled_count_; }

  // Compiles, follows the grammar a few tokens, and forgets it; on the calling thread, which must
  // have a deep stack.
  Status try_compile(const std::string& lark) const;

  // Whether llguidance takes a schema as it is, without a warning. Says nothing about what only shows when
  // tokens are drawn: an automaton that is too large, a value that would have to be infinite.
  bool takes_schema(const std::string& json) const;

  // What llguidance leaves out of a grammar it accepts, one warning a line; the same stack.
  Result<std::string> warnings(const std::string& lark) const;

  // What text_expression() made, by the content it was made of.
  std::optional<std::string> known_expression(const Hash128& key);
  void remember_expression(const Hash128& key, std::string expression);

 private:
  using Outcome = Result<std::shared_ptr<const Compiled>>;

  Outcome build(const std::string& lark) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::atomic<std::size_t> compiled_count_ = 0;
  std::mutex mutex_;
  Lru<std::shared_future<Outcome>> grammars_;
  Lru<std::string> expressions_;
};

}  // namespace kvern::constrain
