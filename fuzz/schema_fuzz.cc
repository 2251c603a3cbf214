// Arbitrary bytes as a client's schema: a result or an error, never a crash or a hang. What fits
// must compile, and the check of it must take any value.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "constrain/schema.h"
#include "constrain/test_vocab.h"

namespace {

struct Fixture {
  kvern::constrain::TestVocab vocab;
  std::unique_ptr<kvern::constrain::Compiler> compiler = std::move(kvern::constrain::Compiler::create(vocab)).value();
  std::unique_ptr<kvern::constrain::SchemaFitter> fitter = kvern::constrain::SchemaFitter::create(*compiler);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  const std::string_view schema(reinterpret_cast<const char*>(data), size);
  const auto fitted = fixture.fitter->fit(schema, kvern::constrain::JsonStyle{});
  if (!fitted) return 0;
  const auto compiled = fixture.compiler->compile("start: %json " + fitted->json);
  CHECK(compiled.has_value(), compiled ? "" : compiled.error().message);
  CHECK((*compiled)->start()->mask().has_value());
  const auto check = kvern::constrain::SchemaCheck::compile(schema);
  CHECK(check.has_value());
  static_cast<void>(check->check(R"({"a": [1, "b", {"c": null}]})"));
  return 0;
}
