// The one implementation of Compiler, and what SchemaFitter needs beyond it.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
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

  // What llguidance leaves out of a grammar it accepts, one warning a line; the same stack.
  Result<std::string> warnings(const std::string& lark) const;

 private:
  using Outcome = Result<std::shared_ptr<const Compiled>>;

  Outcome build(const std::string& lark) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::atomic<std::size_t> compiled_count_ = 0;
  std::mutex mutex_;
  Lru<std::shared_future<Outcome>> grammars_;
};

}  // namespace kvern::constrain
