#include <fmt/format.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "constrain/compiler.h"
#include "constrain/deep_stack.h"
#include "constrain/lru.h"
#include "constrain/schema.h"
#include "constrain/schema_document.h"
#include "constrain/schema_repair.h"

namespace kvern::constrain {
namespace {

constexpr std::size_t kFittedSchemas = 2 * limits::kTools;
constexpr std::size_t kFittedBytes = 32 * limits::kToolSchemaBytes;
constexpr std::size_t kRelaxedLines = 64;

enum class Mode { strict, one_of_as_any_of, lenient };

// Separators in x-guidance are regular expressions.
std::string regex_literal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$#&-~").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// A boolean schema has no room for the options, so `true` is written as the empty schema.
std::string with_options(Json schema, const JsonStyle& style, Mode mode) {
  if (schema.is_boolean() && schema.get<bool>()) schema = Json::object();
  if (!schema.is_object()) return dump_json(schema);
  Json options = {{"whitespace_flexible", false},
                  {"item_separator", regex_literal(style.item_separator)},
                  {"key_separator", regex_literal(style.key_separator)},
                  {"json_allow_general_unicode_escapes", true}};
  if (mode == Mode::one_of_as_any_of) options["coerce_one_of"] = true;
  if (mode == Mode::lenient) options["lenient"] = true;
  schema["x-guidance"] = std::move(options);
  return dump_json(schema);
}

// From exact to "any object", one concession at a time.
class Fitting {
 public:
  Fitting(const GrammarCompiler& compiler, const JsonStyle& style, Json schema)
      : compiler_(compiler), style_(style), schema_(std::move(schema)), repair_(compiler) {
    tidy(schema_);
    repair_.drop_costly_multiples(schema_);
  }

  Result<FittedSchema> run() {
    Status status = attempt(Mode::strict);
    if (status) return done(Mode::strict);
    if (status.error().message.find("oneOf") != std::string::npos && attempt(Mode::one_of_as_any_of))
      return done(Mode::one_of_as_any_of);
    do {
      status = attempt(Mode::lenient);
      if (status) return done(Mode::lenient);
    } while (repair_.apply(status.error().message, schema_));
    return any_object(status.error().message);
  }

 private:
  std::string lark(Mode mode) const { return "start: %json " + with_options(schema_, style_, mode); }

  Status attempt(Mode mode) { return compiler_.try_compile(lark(mode)); }

  FittedSchema done(Mode mode) {
    std::vector<std::string> relaxed = repair_.removed();
    const auto warnings = mode == Mode::strict ? Result<std::string>() : compiler_.warnings(lark(mode));
    if (warnings)
      for (std::string& line : locate(schema_, *warnings)) relaxed.push_back(std::move(line));
    if (relaxed.size() > kRelaxedLines) {
      const std::size_t more = relaxed.size() - kRelaxedLines;
      relaxed.resize(kRelaxedLines);
      relaxed.push_back(fmt::format("and {} more", more));
    }
    return {with_options(schema_, style_, mode), std::move(relaxed)};
  }

  Result<FittedSchema> any_object(const std::string& reason) {
    schema_ = Json{{"type", "object"}};
    TRY_OK(attempt(Mode::strict));
    return FittedSchema{with_options(schema_, style_, Mode::strict),
                        {"/: everything, any JSON object is taken: " + reason}};
  }

  const GrammarCompiler& compiler_;
  const JsonStyle& style_;
  Json schema_;
  Repair repair_;
};

class Fitter final : public SchemaFitter {
 public:
  explicit Fitter(const GrammarCompiler& compiler) : compiler_(compiler), fitted_(kFittedSchemas, kFittedBytes) {}

  Result<FittedSchema> fit(std::string_view schema, const JsonStyle& style) override {
    const Hash128 key = key_of(schema, style);
    {
      const std::lock_guard lock(mutex_);
      if (const FittedSchema* known = fitted_.find(key)) return *known;
    }
    TRY_OK(SchemaCheck::compile(schema));
    FittedSchema fitted;
    TRY_OK(on_deep_stack([&]() -> Status {
      TRY(Json document, read_schema(schema));
      TRY(fitted, Fitting(compiler_, style, std::move(document)).run());
      return {};
    }));
    const std::lock_guard lock(mutex_);
    fitted_.put(key, fitted, schema.size() + fitted.json.size());
    return fitted;
  }

 private:
  static Hash128 key_of(std::string_view schema, const JsonStyle& style) {
    return xxh3_128(fmt::format("{}:{}{}:{}{}", style.item_separator.size(), style.item_separator,
                                style.key_separator.size(), style.key_separator, schema));
  }

  const GrammarCompiler& compiler_;
  std::mutex mutex_;
  Lru<FittedSchema> fitted_;
};

}  // namespace

std::unique_ptr<SchemaFitter> SchemaFitter::create(Compiler& compiler) {
  const auto* grammar_compiler = dynamic_cast<const GrammarCompiler*>(&compiler);
  CHECK(grammar_compiler, "a SchemaFitter needs a compiler made by Compiler::create");
  // The first schema compiled in a process builds the meta-schemas, about 3 ms.
  const auto warm = SchemaCheck::compile("{}");
  CHECK(warm.has_value(), "the empty schema must compile");
  return std::make_unique<Fitter>(*grammar_compiler);
}

}  // namespace kvern::constrain
