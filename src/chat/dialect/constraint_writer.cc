#include "chat/dialect/constraint_writer.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/limits.h"

namespace kvern::chat {
namespace {

constexpr std::size_t kWrittenBytes = 16 * limits::kGrammarBytes;

// Everything write_constraint() looks at, each part with its length before it.
class Key {
 public:
  void add(std::string_view text) {
    number(text.size());
    bytes_ += text;
  }
  void number(std::size_t value) {
    for (std::size_t i = 0; i < sizeof value; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 0xFF);
  }
  void add(const TextRule& rule) {
    number(static_cast<std::size_t>(rule.syntax));
    add(rule.definition);
  }
  void add(const std::vector<std::string>& texts) {
    number(texts.size());
    for (const std::string& text : texts) add(text);
  }
  Hash128 hash() const { return xxh3_128(bytes_); }

 private:
  std::string bytes_;
};

Hash128 key_of(const ChatRequest& request, bool in_reasoning) {
  Key key;
  key.number(request.tools.size());
  for (const Tool& tool : request.tools) {
    key.add(tool.name);
    key.add(tool.parameters);
    key.add(tool.parameters_fault);
    key.number(tool.custom ? 1 : 0);
    key.add(tool.input);
  }
  key.number(static_cast<std::size_t>(request.tool_choice.use));
  key.add(request.tool_choice.name);
  key.add(request.tool_choice.allowed);
  key.number(request.parallel_tool_calls ? 1 : 0);
  key.number(static_cast<std::size_t>(request.format.kind));
  key.add(request.format.schema);
  key.add(request.format.choices);
  key.add(request.format.rule);
  key.add(request.format.whitespace);
  key.number(in_reasoning ? 1 : 0);
  return key.hash();
}

// Fits only what is neither plain nor known.
class TrustingFitter final : public constrain::SchemaFitter {
 public:
  explicit TrustingFitter(constrain::SchemaFitter& fitter) : fitter_(fitter) {}

  Result<constrain::FittedSchema> fit(std::string_view schema, const constrain::JsonStyle& style) override {
    if (auto remembered = known(schema, style)) return std::move(*remembered);
    auto fitted = plain(schema, style);
    if (!fitted) return fitter_.fit(schema, style);
    tried_.push_back({std::string(schema), style, *fitted});
    return std::move(*fitted);
  }
  Status check(std::string_view schema) override { return fitter_.check(schema); }
  std::optional<constrain::FittedSchema> plain(std::string_view schema,
                                               const constrain::JsonStyle& style) const override {
    return fitter_.plain(schema, style);
  }
  void took(std::string_view schema, const constrain::JsonStyle& style, constrain::FittedSchema fitted) override {
    fitter_.took(schema, style, std::move(fitted));
  }
  std::optional<constrain::FittedSchema> known(std::string_view schema, const constrain::JsonStyle& style) override {
    return fitter_.known(schema, style);
  }
  std::string why_unsatisfiable(std::string_view schema, const std::string& reason) override {
    return fitter_.why_unsatisfiable(schema, reason);
  }

  bool tried_any() const { return !tried_.empty(); }

  // The grammar of all that was tried compiled.
  void took_all() {
    for (Tried& tried : tried_) took(tried.schema, tried.style, std::move(tried.fitted));
  }

 private:
  struct Tried {
    std::string schema;
    constrain::JsonStyle style;
    constrain::FittedSchema fitted;
  };

  constrain::SchemaFitter& fitter_;
  std::vector<Tried> tried_;
};

}  // namespace

ConstraintWriter::ConstraintWriter(const Chosen& chosen, const Vocab& vocab, constrain::Compiler& compiler,
                                   constrain::SchemaFitter& fitter)
    : chosen_(chosen),
      vocab_(vocab),
      compiler_(compiler),
      fitter_(fitter),
      written_(limits::kCompiledGrammars, kWrittenBytes) {}

Result<ConstraintSpec> ConstraintWriter::write(const ChatRequest& request, bool in_reasoning, bool* is_new,
                                               const GivenUp& given_up) {
  const Hash128 key = key_of(request, in_reasoning);
  std::shared_ptr<const ConstraintSpec> known;
  {
    const std::lock_guard lock(mutex_);
    if (const auto* found = written_.find(key)) known = *found;
  }
  if (is_new != nullptr) *is_new = known == nullptr;
  if (known) return *known;  // megabytes at worst: copied without the lock
  TRY(ConstraintSpec spec, write_new(request, in_reasoning, given_up));
  const std::lock_guard lock(mutex_);
  written_.put(key, std::make_shared<const ConstraintSpec>(spec), spec.lark.size());
  return spec;
}

// A hundred plain tools are compiled together, not one by one before: that takes a third of the time.
Result<ConstraintSpec> ConstraintWriter::write_new(const ChatRequest& request, bool in_reasoning,
                                                   const GivenUp& given_up) {
  const auto write = [&](constrain::SchemaFitter& fitter) {
    return write_constraint(*chosen_.dialect, chosen_.reasons, in_reasoning, request, vocab_, compiler_, fitter,
                            given_up);
  };
  TrustingFitter trusting(fitter_);
  auto spec = write(trusting);
  if (!spec || !trusting.tried_any()) return spec;
  if (given_up && given_up()) return fail(Code::cancelled, "the client left");
  if (!compiler_.compile(spec->lark)) return write(fitter_);
  trusting.took_all();
  return spec;
}

}  // namespace kvern::chat
