#include "vocab_file.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvern::bench {
namespace {

constexpr std::uint32_t kStringType = 8;
constexpr std::uint32_t kArrayType = 9;
constexpr std::array<std::uint8_t, 13> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};  // bytes by type
constexpr std::int32_t kControl = 3;
constexpr std::int32_t kUserDefined = 4;

// Reads forward; what lies behind the end is zero.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Number>
  Number number() {
    Number value{};
    const std::string_view bytes = take(sizeof value);
    if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::string_view text() { return take(number<std::uint64_t>()); }
  std::string_view take(std::uint64_t count) {
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  bool ended() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

struct Tokens {
  std::vector<std::string> texts;
  std::vector<std::int32_t> types;
  TokenId end = -1;
};

void read_array(Reader& reader, std::string_view key, Tokens& tokens) {
  const auto type = reader.number<std::uint32_t>();
  const auto count = reader.number<std::uint64_t>();
  for (std::uint64_t i = 0; i < count && !reader.ended(); ++i) {
    if (type == kStringType) {
      const std::string_view text = reader.text();
      if (key == "tokenizer.ggml.tokens") tokens.texts.emplace_back(text);
    } else if (key == "tokenizer.ggml.token_type") {
      tokens.types.push_back(reader.number<std::int32_t>());
    } else {
      reader.take(type < kSizes.size() ? kSizes[type] : 0);
    }
  }
}

Tokens read_tokens(Reader reader) {
  Tokens tokens;
  reader.take(4 + 4 + 8);  // magic, version, tensors
  const auto entries = reader.number<std::uint64_t>();
  for (std::uint64_t i = 0; i < entries && !reader.ended(); ++i) {
    const std::string_view key = reader.text();
    const auto type = reader.number<std::uint32_t>();
    if (type == kArrayType) {
      read_array(reader, key, tokens);
    } else if (type == kStringType) {
      reader.text();
    } else if (key == "tokenizer.ggml.eos_token_id") {
      tokens.end = reader.number<TokenId>();
    } else {
      reader.take(type < kSizes.size() ? kSizes[type] : 0);
    }
  }
  return tokens;
}

// Byte-level tokenisers write a byte that does not print as one of the characters from U+0100 on.
int byte_of(std::uint32_t character) {
  const auto prints = [](std::uint32_t byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
  };
  if (character < 0x100) return prints(character) ? static_cast<int>(character) : -1;
  std::uint32_t next = 0x100;
  for (std::uint32_t byte = 0; byte < 0x100; ++byte)
    if (!prints(byte) && next++ == character) return static_cast<int>(byte);
  return -1;
}

std::string bytes_of(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto character = static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
    if (character >= 0xC0 && character < 0xE0 && i + 1 < text.size())  // two bytes are all there are
      character = (character & 0x1F) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F);
    if (const int byte = byte_of(character); byte >= 0) bytes += static_cast<char>(byte);
  }
  return bytes;
}

class FileVocab final : public Vocab {
 public:
  explicit FileVocab(Tokens tokens) : types_(std::move(tokens.types)), end_(tokens.end) {
    types_.resize(tokens.texts.size());
    for (std::size_t i = 0; i < tokens.texts.size(); ++i) {
      const bool named = types_[i] == kControl || types_[i] == kUserDefined;
      pieces_.push_back(named ? tokens.texts[i] : bytes_of(tokens.texts[i]));
    }
    for (TokenId token = 0; token < size(); ++token) {
      (is_named(token) ? named_ : plain_).emplace(piece(token), token);
      longest_ = std::max(longest_, piece(token).size());
    }
  }

  std::int32_t size() const override { return static_cast<std::int32_t>(pieces_.size()); }
  void tokenize(std::string_view text, SpecialTokens special, std::vector<TokenId>& out) const override {
    while (!text.empty()) {
      TokenId token = -1;
      std::size_t length = std::min(longest_, text.size());
      for (; length > 0 && token < 0; --length) {
        const std::string_view begin = text.substr(0, length);
        if (special == SpecialTokens::as_tokens) token = find(begin);
        if (const auto found = plain_.find(begin); token < 0 && found != plain_.end()) token = found->second;
      }
      if (token >= 0) out.push_back(token);
      text.remove_prefix(length + 1);  // the loop went one too far
    }
  }
  std::string_view piece(TokenId token) const override {
    return token < 0 || token >= size() ? std::string_view() : pieces_[static_cast<std::size_t>(token)];
  }
  bool is_control(TokenId token) const override { return type(token) == kControl; }
  bool ends_generation(TokenId token) const override { return token >= 0 && token == end_; }
  TokenId find(std::string_view text) const override {
    const auto found = named_.find(text);
    return found == named_.end() ? -1 : found->second;
  }
  std::string_view bos_text() const override { return {}; }
  std::string_view eos_text() const override { return piece(end_); }
  TokenId required_bos() const override { return -1; }

 private:
  std::int32_t type(TokenId token) const {
    return token < 0 || token >= size() ? 0 : types_[static_cast<std::size_t>(token)];
  }
  bool is_named(TokenId token) const { return type(token) == kControl || type(token) == kUserDefined; }

  std::vector<std::string> pieces_;  // complete before the maps below point into it
  std::vector<std::int32_t> types_;
  TokenId end_;
  std::unordered_map<std::string_view, TokenId> plain_;
  std::unordered_map<std::string_view, TokenId> named_;
  std::size_t longest_ = 0;
};

}  // namespace

Result<std::unique_ptr<Vocab>> read_vocab_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!bytes.starts_with("GGUF")) return fail(Code::invalid, path + " is no GGUF file, or is not there");
  Tokens tokens = read_tokens(Reader(bytes));
  if (tokens.texts.empty()) return fail(Code::invalid, path + " holds no vocabulary");
  return std::make_unique<FileVocab>(std::move(tokens));
}

}  // namespace kvern::bench
