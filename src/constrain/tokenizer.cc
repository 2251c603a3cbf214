#include "constrain/tokenizer.h"

#include <llguidance.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace kvern::constrain {
namespace {

constexpr LlgToken kNoToken = 0xFFFF'FFFF;  // llguidance's INVALID_TOKEN
constexpr char kControlPrefix = '\xFF';     // no text byte: such a token matches only where a grammar names it

// llguidance's view of the tokens; it copies all of this.
struct Table {
  std::vector<std::uint32_t> lengths;
  std::string bytes;
  std::vector<LlgToken> ends;
};

// An end token the vocabulary does not call control must not be writable as text either.
bool is_special(const Vocab& vocab, TokenId token) { return vocab.is_control(token) || vocab.ends_generation(token); }

Table table_of(const Vocab& vocab) {
  Table table;
  for (TokenId token = 0; token < vocab.size(); ++token) {
    const std::string_view piece = vocab.piece(token);
    const std::size_t before = table.bytes.size();
    if (is_special(vocab, token) && !piece.empty()) {
      table.bytes += kControlPrefix;
      table.bytes += piece;
    } else if (!piece.starts_with(kControlPrefix)) {  // the byte token 0xFF is never part of UTF-8: leave it out
      table.bytes += piece;
    }
    table.lengths.push_back(static_cast<std::uint32_t>(table.bytes.size() - before));
    if (vocab.ends_generation(token)) table.ends.push_back(static_cast<LlgToken>(token));
  }
  return table;
}

// Called from any thread, through Rust: nothing may be thrown.
std::size_t tokenize(const void* user, const std::uint8_t* bytes, std::size_t size, std::uint32_t* out,
                     std::size_t room) noexcept {
  try {
    std::vector<TokenId> tokens;
    static_cast<const Vocab*>(user)->tokenize({reinterpret_cast<const char*>(bytes), size}, SpecialTokens::as_text,
                                              tokens);
    const std::size_t written = std::min(room, tokens.size());
    std::copy_n(tokens.begin(), written, out);
    return tokens.size();
  } catch (...) {
    return 0;
  }
}

// Some tokenizers put a space before all text. Forced tokens made with one would spell other bytes
// than the grammar forces, so llguidance then gets none (and masks allow every spelling).
bool gives_text_back(const Vocab& vocab) {
  static constexpr std::array<std::string_view, 3> kProbes = {"{\"name\": \"", "hello", "\n</tool_call>"};
  try {
    return std::all_of(kProbes.begin(), kProbes.end(), [&vocab](std::string_view probe) {
      std::vector<TokenId> tokens;
      vocab.tokenize(probe, SpecialTokens::as_text, tokens);
      std::string text;
      for (const TokenId token : tokens) text += vocab.piece(token);
      return text == probe;
    });
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::create(const Vocab& vocab) {
  const Table table = table_of(vocab);
  LlgTokenizerInitV2 init = {};
  init.struct_size = sizeof init;
  init.vocab_size = static_cast<std::uint32_t>(vocab.size());
  init.tok_eos = table.ends.empty() ? kNoToken : table.ends.front();
  if (table.ends.size() > 1) {
    init.tok_eos_extra = table.ends.data() + 1;
    init.tok_eos_extra_count = static_cast<std::uint32_t>(table.ends.size() - 1);
  }
  init.token_lens = table.lengths.data();
  init.token_bytes = reinterpret_cast<const std::uint8_t*>(table.bytes.data());
  if (gives_text_back(vocab)) {
    init.tokenize_fn = tokenize;
    init.tokenize_user_data = &vocab;
    init.tokenize_assumes_string = true;
  } else {
    init.use_approximate_greedy_tokenize_fn = true;
  }
  std::array<char, 512> error = {};
  LlgTokenizer* handle = llg_new_tokenizer_v2(&init, error.data(), error.size());
  if (!handle) return fail(Code::failed, std::string("the vocabulary cannot be used for grammars: ") + error.data());
  return std::shared_ptr<const Tokenizer>(new Tokenizer(vocab, handle));
}

Tokenizer::~Tokenizer() { llg_free_tokenizer(handle_); }

}  // namespace kvern::constrain
