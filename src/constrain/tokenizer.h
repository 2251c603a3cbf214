// A Vocab as llguidance sees it.
#pragma once

#include <memory>

#include "base/result.h"
#include "core/vocab.h"

struct LlgTokenizer;

namespace kvern::constrain {

// Immutable. Thread: any. The vocabulary must outlive it.
class Tokenizer {
 public:
  static Result<std::shared_ptr<const Tokenizer>> create(const Vocab& vocab);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  const LlgTokenizer* handle() const { return handle_; }
  const Vocab& vocab() const { return vocab_; }

 private:
  Tokenizer(const Vocab& vocab, LlgTokenizer* handle) : vocab_(vocab), handle_(handle) {}

  const Vocab& vocab_;
  LlgTokenizer* handle_;
};

}  // namespace kvern::constrain
