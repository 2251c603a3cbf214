// Arbitrary bytes as a client's grammar, its syntax in the first byte: an expression or an error, never a
// crash or a hang. What is given must compile inside another grammar, in both forms.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "constrain/test_vocab.h"
#include "constrain/text_grammar.h"

namespace {

struct Fixture {
  kvern::constrain::TestVocab vocab;
  std::unique_ptr<kvern::constrain::Compiler> compiler = std::move(kvern::constrain::Compiler::create(vocab)).value();
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  if (size == 0) return 0;
  constexpr kvern::TextSyntax kSyntaxes[] = {kvern::TextSyntax::lark, kvern::TextSyntax::gbnf,
                                             kvern::TextSyntax::regex};
  const kvern::TextRule rule{kSyntaxes[data[0] % 3], {reinterpret_cast<const char*>(data) + 1, size - 1}};
  for (const auto form : {kvern::constrain::TextForm::raw, kvern::constrain::TextForm::json_string}) {
    const auto expression = kvern::constrain::text_expression(*fixture.compiler, rule, form);
    if (!expression) continue;
    const bool raw = form == kvern::constrain::TextForm::raw;
    const std::string around = raw ? "start: \"<\" body \">\"\n" : "start: \"\\\"\" body \"\\\"\"\n";
    const auto compiled = fixture.compiler->compile(around + "body: " + *expression);
    CHECK(compiled.has_value(), compiled ? "" : compiled.error().message);
    CHECK((*compiled)->start()->mask().has_value());
  }
  return 0;
}
