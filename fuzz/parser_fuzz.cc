// Any bytes, in any pieces, through both dialects' parsers: no crash, and the events do not depend
// on the pieces. The first byte chooses options, the second the size of the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "chat/dialect/test_parse.h"

namespace {

using kvern::chat::Dialect;
using kvern::chat::ParserOptions;

ParserOptions options_of(std::uint8_t bits) {
  ParserOptions options;
  constexpr const char* kSchema = R"({"type":"object","properties":{"s":{"type":"string"},"n":{"type":"integer"},
      "u":{"type":["string","null"]},"o":{"type":"object"}}})";
  if ((bits & 1) == 0) options.tools = {{"f", "", kSchema}, {"get", "", "{}"}};
  options.reasons = (bits & 2) != 0;
  options.in_reasoning = (bits & 4) != 0;
  return options;
}

void check(const Dialect& dialect, std::uint8_t bits, std::size_t step, std::string_view text) {
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at < text.size(); at += step) pieces.push_back(text.substr(at, step));
  const auto whole = kvern::chat::testing::parse(dialect, options_of(bits), {text});
  const auto split = kvern::chat::testing::parse(dialect, options_of(bits), pieces);
  CHECK(kvern::chat::testing::joined(whole) == kvern::chat::testing::joined(split), "events depend on the split");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t step = 1 + data[1] % 32;
  for (const Dialect* dialect : kvern::chat::all_dialects()) check(*dialect, data[0], step, text);
  return 0;
}
