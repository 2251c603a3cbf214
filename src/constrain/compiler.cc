#include "constrain/compiler.h"

#include <fmt/format.h>
#include <llguidance.h>

#include <utility>
#include <vector>

#include "base/limits.h"
#include "constrain/deep_stack.h"
#include "constrain/matcher.h"

namespace kvern::constrain {
namespace {

// The first compilation in a process builds tables others reuse; no request should pay for that.
constexpr const char* kWarmUp = R"(start: %json {"type": "object", "properties": {"a": {"type": "string"}}})";

constexpr std::size_t kCompiledBytes = 16 * limits::kGrammarBytes;  // of grammar text, all entries together
constexpr std::size_t kWarningBytes = 64 * 1024;

Status check_text(const std::string& lark) {
  if (lark.size() > limits::kGrammarBytes)
    return fail(Code::too_large,
                fmt::format("the grammar has {} bytes; at most {} are taken", lark.size(), limits::kGrammarBytes));
  if (lark.find('\0') != std::string::npos) return fail(Code::invalid, "the grammar contains a NUL byte");
  return {};
}

}  // namespace

Result<std::unique_ptr<Compiler>> Compiler::create(const Vocab& vocab) {
  TRY(std::shared_ptr<const Tokenizer> tokenizer, Tokenizer::create(vocab));
  auto compiler = std::make_unique<GrammarCompiler>(std::move(tokenizer));
  TRY_OK(on_deep_stack([&compiler] { return compiler->try_compile(kWarmUp); }));
  return compiler;
}

GrammarCompiler::GrammarCompiler(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)),
      grammars_(limits::kCompiledGrammars, kCompiledBytes),
      expressions_(limits::kCompiledGrammars, kCompiledBytes) {}

Result<std::shared_ptr<const Compiled>> GrammarCompiler::compile(const std::string& lark) {
  TRY_OK(check_text(lark));
  const Hash128 key = xxh3_128(lark);
  std::promise<Outcome> promise;
  std::shared_future<Outcome> running;
  {
    const std::lock_guard lock(mutex_);
    if (const auto* known = grammars_.find(key)) {
      running = *known;
    } else {
      grammars_.put(key, promise.get_future().share(), lark.size());
    }
  }
  if (running.valid()) return running.get();  // waits for the thread that asked first

  Outcome outcome = build(lark);
  ++compiled_count_;
  if (!outcome) {  // those who wait learn of it; who asks later may have better luck
    const std::lock_guard lock(mutex_);
    grammars_.erase(key);
  }
  promise.set_value(outcome);
  return outcome;
}

GrammarCompiler::Outcome GrammarCompiler::build(const std::string& lark) const {
  std::shared_ptr<const Compiled> compiled;
  TRY_OK(on_deep_stack([&]() -> Status {
    TRY(MatcherHandle prototype, make_prototype(*tokenizer_, lark));
    compiled = make_compiled(tokenizer_, std::move(prototype));
    return {};
  }));
  return compiled;
}

Status GrammarCompiler::try_compile(const std::string& lark) const {
  TRY_OK(check_text(lark));
  TRY(const MatcherHandle matcher, make_prototype(*tokenizer_, lark));
  return try_first_tokens(*tokenizer_, matcher.get());
}

std::optional<std::string> GrammarCompiler::known_expression(const Hash128& key) {
  const std::lock_guard lock(mutex_);
  const std::string* known = expressions_.find(key);
  return known ? std::optional(*known) : std::nullopt;
}

void GrammarCompiler::remember_expression(const Hash128& key, std::string expression) {
  const std::lock_guard lock(mutex_);
  const std::size_t bytes = expression.size();
  expressions_.put(key, std::move(expression), bytes);
}

bool GrammarCompiler::takes_schema(const std::string& json) const {
  if (!check_text(json)) return false;
  const LlgConstraintInit init = constraint_init(*tokenizer_);
  std::vector<char> message(kWarningBytes);
  return llg_validate_grammar(&init, "json", json.c_str(), message.data(), message.size()) == 0;
}

Result<std::string> GrammarCompiler::warnings(const std::string& lark) const {
  TRY_OK(check_text(lark));
  const LlgConstraintInit init = constraint_init(*tokenizer_);
  std::vector<char> message(kWarningBytes);
  if (llg_validate_grammar(&init, "lark", lark.c_str(), message.data(), message.size()) < 0)
    return fail(Code::invalid, readable_error(message.data()));
  return std::string(message.data());
}

}  // namespace kvern::constrain
