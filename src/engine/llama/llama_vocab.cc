#include "engine/llama/llama_vocab.h"

#include <llama.h>

namespace kvern::engine {
namespace {

constexpr std::size_t kRunBytes = 4096;
constexpr std::size_t kNameBytes = 64;

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::string piece_of(const llama_vocab* vocab, llama_token token) {
  std::string text(32, '\0');
  std::int32_t n = llama_token_to_piece(vocab, token, text.data(), static_cast<std::int32_t>(text.size()), 0, true);
  if (n < 0) {
    text.resize(static_cast<std::size_t>(-n));
    n = llama_token_to_piece(vocab, token, text.data(), static_cast<std::int32_t>(text.size()), 0, true);
  }
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

}  // namespace

LlamaVocab::LlamaVocab(const llama_vocab* vocab) : vocab_(vocab) {
  constexpr int kControl = LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN | LLAMA_TOKEN_ATTR_UNUSED;
  const std::int32_t count = llama_vocab_n_tokens(vocab);
  const auto type = llama_vocab_type(vocab);
  if (type == LLAMA_VOCAB_TYPE_NONE || type == LLAMA_VOCAB_TYPE_TEST) {  // libllama aborts when asked about the first
    has_tokenizer_ = false;
    for (std::int32_t token = 0; token < count; ++token)
      pieces_.push_back(token < 256 ? std::string(1, static_cast<char>(token)) : std::string());
    control_.resize(pieces_.size());
    ends_.resize(pieces_.size());
    if (count > 0) {
      pieces_[0] = "<end>";
      control_[0] = ends_[0] = true;
    }
    return;
  }
  pieces_.reserve(static_cast<std::size_t>(count));
  for (llama_token token = 0; token < count; ++token) {
    const auto attributes = static_cast<int>(llama_vocab_get_attr(vocab, token));
    pieces_.push_back(piece_of(vocab, token));
    control_.push_back((attributes & kControl) != 0);
    ends_.push_back(llama_vocab_is_eog(vocab, token));
  }
  for (llama_token token = 0; token < count; ++token) {
    const auto attributes = static_cast<int>(llama_vocab_get_attr(vocab, token));
    const bool has_name = (attributes & (kControl | LLAMA_TOKEN_ATTR_USER_DEFINED)) != 0;
    if (has_name && !pieces_[index(token)].empty()) named_.emplace(pieces_[index(token)], token);
  }
  bos_ = llama_vocab_bos(vocab);
  eos_ = llama_vocab_eos(vocab);
  adds_bos_ = llama_vocab_get_add_bos(vocab) && bos_ >= 0;
}

// Some pre-tokenisers of libllama are std::regex, which recurses once a character of a match: a
// message of a megabyte without a break would overflow the stack. Runs of one kind (blank or not)
// are therefore cut every kRunBytes, counted from their start, so that a longer text is cut at the
// same places.
void LlamaVocab::tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const {
  std::size_t begin = 0;
  std::size_t run = 0;  // where the current run, or its part after a cut, begins
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (is_blank(text[i]) != is_blank(text[i - 1])) run = i;
    if (i - run < kRunBytes || is_continuation(text[i])) continue;
    // A control token's name stays whole: they are short and begin with '<' or '['.
    const std::size_t name = text.substr(0, i).find_last_of("<[");
    const std::size_t cut =
        special == SpecialTokens::as_tokens && name != std::string_view::npos && name > begin && i - name < kNameBytes
            ? name
            : i;
    tokenize_part(text.substr(begin, cut - begin), special, out);
    begin = cut;
    run = cut;
  }
  tokenize_part(text.substr(begin), special, out);
}

void LlamaVocab::tokenize_part(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const {
  if (text.empty()) return;
  if (!has_tokenizer_) {
    for (const char c : text) {
      if (const TokenId token = static_cast<unsigned char>(c); token > 0 && in_range(token)) out.push_back(token);
    }
    return;
  }
  const std::size_t before = out.size();
  const auto length = static_cast<std::int32_t>(text.size());
  const bool parse_special = special == SpecialTokens::as_tokens;
  out.resize(before + text.size() / 2 + 16);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto room = static_cast<std::int32_t>(out.size() - before);
    std::int32_t n = 0;
    try {
      n = llama_tokenize(vocab_, text.data(), length, out.data() + before, room, /*add_special=*/false, parse_special);
    } catch (...) {
      // Some vocabularies throw on bytes they have no token for; those bytes are then dropped one
      // by one rather than the whole text.
      out.resize(before);
      if (text.size() == 1) return;
      tokenize_part(text.substr(0, text.size() / 2), special, out);
      tokenize_part(text.substr(text.size() / 2), special, out);
      return;
    }
    if (n >= 0) {
      out.resize(before + static_cast<std::size_t>(n));
      return;
    }
    out.resize(before + static_cast<std::size_t>(-static_cast<std::int64_t>(n)));
  }
  out.resize(before);
}

std::string_view LlamaVocab::piece(TokenId token) const {
  return in_range(token) ? std::string_view(pieces_[index(token)]) : std::string_view();
}

TokenId LlamaVocab::find(std::string_view text) const {
  const auto found = named_.find(text);
  return found == named_.end() ? -1 : found->second;
}

}  // namespace kvern::engine
