#include "constrain/matcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "base/utf8.h"

namespace kvern::constrain {
namespace {

constexpr std::size_t kErrorBytes = 1000;
constexpr std::size_t kForcedTokens = 256;  // a longer run comes in pieces
constexpr int kTriedTokens = 8;

class GrammarMatcher final : public Matcher {
 public:
  GrammarMatcher(std::shared_ptr<const Tokenizer> tokenizer, MatcherHandle handle)
      : tokenizer_(std::move(tokenizer)), handle_(std::move(handle)) {}

  bool allows(TokenId token) override {
    // llguidance takes an id out of range for a broken matcher, for good.
    if (token < 0 || token >= tokenizer_->vocab().size()) return false;
    if (finished()) return tokenizer_->vocab().ends_generation(token);
    const auto id = static_cast<std::uint32_t>(token);
    const std::int32_t count = llg_matcher_validate_tokens(handle_.get(), &id, 1);
    if (count < 0) remember_error();
    return count == 1;
  }

  std::size_t allowed_of(std::span<const TokenId> tokens) override {
    const auto known = [&](TokenId token) { return token >= 0 && token < tokenizer_->vocab().size(); };
    if (tokens.empty() || finished() || !std::all_of(tokens.begin(), tokens.end(), known)) return 0;
    const std::vector<std::uint32_t> ids(tokens.begin(), tokens.end());
    const std::int32_t count = llg_matcher_validate_tokens(handle_.get(), ids.data(), ids.size());
    if (count < 0) remember_error();
    return static_cast<std::size_t>(std::max(count, 0));
  }

  Result<std::span<const std::uint32_t>> mask() override {
    const std::uint32_t* words =
        llg_matcher_compute_mask(handle_.get()) == 0 ? llg_matcher_get_mask(handle_.get()) : nullptr;
    if (!words) {
      remember_error();
      return fail(Code::invalid, "the grammar cannot go on: " + error_);
    }
    return std::span(words, llg_matcher_get_mask_byte_size(handle_.get()) / sizeof(std::uint32_t));
  }

  Status accept(TokenId token) override {
    // A refused token would break the matcher for good, so it is never offered one.
    if (!allows(token)) {
      if (!error_.empty()) return fail(Code::invalid, "the grammar cannot go on: " + error_);
      return fail(Code::failed, fmt::format("token {} is not allowed here", token));
    }
    if (finished()) return {};
    if (llg_matcher_consume_token(handle_.get(), static_cast<std::uint32_t>(token)) == 0) return {};
    remember_error();
    return fail(Code::invalid, "the grammar cannot go on: " + error_);
  }

  bool finished() const override {
    return llg_matcher_is_stopped(handle_.get()) && !llg_matcher_is_error(handle_.get());
  }

  std::vector<TokenId> forced() override {
    std::array<std::uint32_t, kForcedTokens> ids = {};
    const std::int32_t count = finished() ? 0 : llg_matcher_compute_ff_tokens(handle_.get(), ids.data(), ids.size());
    if (count <= 0) {
      if (count < 0) remember_error();
      return {};
    }
    // Where the text before ends within a token, llguidance may spell it anew; only what follows is taken.
    const std::int32_t valid = llg_matcher_validate_tokens(handle_.get(), ids.data(), static_cast<std::size_t>(count));
    if (valid < 0) remember_error();
    return {ids.begin(), ids.begin() + std::max(valid, 0)};
  }

 private:
  void remember_error() {
    const char* message = llg_matcher_get_error(handle_.get());
    error_ = message ? readable_error(message) : "llguidance gave no reason";
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
  MatcherHandle handle_;
  std::string error_;
};

class CompiledGrammar final : public Compiled {
 public:
  CompiledGrammar(std::shared_ptr<const Tokenizer> tokenizer, MatcherHandle prototype)
      : tokenizer_(std::move(tokenizer)), prototype_(std::move(prototype)) {}

  std::unique_ptr<Matcher> start() const override {
    MatcherHandle clone;
    {
      // Cloning takes about 10 us, and llguidance does not say that one matcher may be cloned twice at once.
      const std::lock_guard lock(mutex_);
      clone.reset(llg_clone_matcher(prototype_.get()));
    }
    return std::make_unique<GrammarMatcher>(tokenizer_, std::move(clone));
  }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;  // freed after the prototype
  MatcherHandle prototype_;
  mutable std::mutex mutex_;
};

// "   12 | start: ..." quotes the grammar; a schema makes such a line megabytes long.
bool quotes_grammar(std::string_view line) {
  const std::size_t digits = line.find_first_not_of(' ');
  if (digits == std::string_view::npos) return false;
  const std::size_t after = line.find_first_not_of("0123456789", digits);
  return after != std::string_view::npos && after > digits && line.substr(after).starts_with(" |");
}

}  // namespace

LlgConstraintInit constraint_init(const Tokenizer& tokenizer) {
  LlgConstraintInit init = {};
  llg_constraint_init_set_defaults(&init, tokenizer.handle());
  init.log_stderr_level = 0;
  init.limits.verbose_errors = false;
  // Objects of a thousand properties need more than the defaults; a mask is still bounded to some 20 ms.
  init.limits.max_items_in_row = 20'000;
  init.limits.step_max_items = 400'000;
  return init;
}

std::string readable_error(std::string_view message) {
  std::string out;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    const std::string_view line = message.substr(0, end);
    if (quotes_grammar(line)) break;
    if (!line.empty() && line != "<non-verbose/>") {
      if (!out.empty()) out += '\n';
      out += line;
    }
    message.remove_prefix(std::min(end + 1, message.size()));
  }
  return shortened(out, kErrorBytes);
}

Result<MatcherHandle> make_prototype(const Tokenizer& tokenizer, const std::string& lark) {
  const LlgConstraintInit init = constraint_init(tokenizer);
  MatcherHandle matcher(llg_new_matcher(&init, "lark", lark.c_str()));
  if (const char* error = llg_matcher_get_error(matcher.get())) return fail(Code::invalid, readable_error(error));
  if (llg_matcher_compute_mask(matcher.get()) == 0) return matcher;
  const char* error = llg_matcher_get_error(matcher.get());
  return fail(Code::invalid, fmt::format("no token can begin what the grammar describes: {}",
                                         readable_error(error ? error : "llguidance gave no reason")));
}

Status try_first_tokens(const Tokenizer& tokenizer, LlgMatcher* matcher) {
  for (int step = 0; step < kTriedTokens && !llg_matcher_is_stopped(matcher); ++step) {
    const std::uint32_t* words = llg_matcher_compute_mask(matcher) == 0 ? llg_matcher_get_mask(matcher) : nullptr;
    TokenId token = 0;
    while (words && token < tokenizer.vocab().size() && (words[token / 32] >> (token % 32) & 1U) == 0) ++token;
    if (!words || token == tokenizer.vocab().size() ||
        llg_matcher_consume_token(matcher, static_cast<std::uint32_t>(token)) != 0) {
      const char* error = llg_matcher_get_error(matcher);
      return fail(Code::invalid, readable_error(error ? error : "no token may follow"));
    }
  }
  return {};
}

std::shared_ptr<const Compiled> make_compiled(std::shared_ptr<const Tokenizer> tokenizer, MatcherHandle prototype) {
  return std::make_shared<CompiledGrammar>(std::move(tokenizer), std::move(prototype));
}

}  // namespace kvern::constrain
