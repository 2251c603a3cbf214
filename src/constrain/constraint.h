// Grammar text -> which tokens may come next, by llguidance.
//
// Sample first, ask allows() about that one token (about a microsecond), and build the mask only
// when it was refused: free text then costs next to nothing however large the grammar is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/vocab.h"

namespace kvern::constrain {

// The state of one generation. Thread: one at a time (the engine's).
class Matcher {
 public:
  virtual ~Matcher() = default;

  virtual bool allows(TokenId token) = 0;

  // How many of these may follow one after the other. Does not advance.
  virtual std::size_t allowed_of(std::span<const TokenId> tokens) = 0;

  // Bit i (word i / 32, bit i % 32) is set when token i may come next; covers the vocabulary. Where
  // bytes are forced it holds their canonical token only, while allows() takes any spelling.
  // Valid until the next call. An error means the grammar ran out of its step budget.
  virtual Result<std::span<const std::uint32_t>> mask() = 0;

  // token must be allowed.
  virtual Status accept(TokenId token) = 0;

  // Nothing may follow: the turn is complete and needs no end token.
  virtual bool finished() const = 0;

  // Tokens that are the only possible continuation, in order; may be empty. Does not advance.
  virtual std::vector<TokenId> forced() = 0;
};

// A grammar ready for use. Thread: any.
class Compiled {
 public:
  virtual ~Compiled() = default;
  virtual std::unique_ptr<Matcher> start() const = 0;
};

// One per vocabulary. Thread: any.
class Compiler {
 public:
  // The vocabulary must outlive the compiler and everything it makes. Takes about 100 ms.
  static Result<std::unique_ptr<Compiler>> create(const Vocab& vocab);
  virtual ~Compiler() = default;

  // Lark with llguidance's extensions. Kept by content hash (limits::kCompiledGrammars), so the
  // tool set an agent re-sends each turn is compiled once. Code::invalid with llguidance's words
  // on a bad grammar, Code::too_large above limits::kGrammarBytes.
  virtual Result<std::shared_ptr<const Compiled>> compile(const std::string& lark) = 0;

  virtual std::size_t compiled_count() const = 0;  // compilations so far, for tests and metrics
};

}  // namespace kvern::constrain
