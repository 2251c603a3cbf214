#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "constrain/compiler.h"
#include "constrain/deep_stack.h"
#include "constrain/lru.h"
#include "constrain/regex_rewrite.h"
#include "constrain/schema.h"
#include "constrain/schema_document.h"
#include "constrain/schema_repair.h"
#include "constrain/schema_rewrite.h"
#include "constrain/unsatisfiable.h"

namespace kvern::constrain {
namespace {

constexpr std::size_t kFittedSchemas = 2 * limits::kTools;
constexpr std::size_t kFittedBytes = 32 * limits::kToolSchemaBytes;
constexpr std::size_t kReasons = 64;
constexpr std::size_t kRelaxedLines = 64;
constexpr std::size_t kPlainSchemas = 200;  // objects of one document
constexpr std::size_t kPlainItems = 64;     // of a list
constexpr std::size_t kPlainBytes = 32 << 10;

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
  const bool spaced = style.whitespace.empty();  // else white space comes from its own pattern, between any two tokens
  Json options = {{"whitespace_flexible", false},
                  {"item_separator", spaced ? regex_literal(style.item_separator) : ","},
                  {"key_separator", spaced ? regex_literal(style.key_separator) : ":"},
                  {"json_allow_general_unicode_escapes", true}};
  if (!style.whitespace.empty()) options["whitespace_pattern"] = style.whitespace;
  if (mode == Mode::one_of_as_any_of) options["coerce_one_of"] = true;
  if (mode == Mode::lenient) options["lenient"] = true;
  schema["x-guidance"] = std::move(options);
  return dump_json(schema);
}

// Of these alone nothing too large or infinite can be made, so it is enough that llguidance takes them: ten
// times cheaper than drawing tokens, and what most tools are. Their values are of the right kind where
// llguidance itself does not look.
bool is_plain(Json& schema) {
  static constexpr std::array<std::string_view, 15> kPlain = {"type",     "properties",  "additionalProperties",
                                                              "items",    "enum",        "const",
                                                              "anyOf",    "description", "title",
                                                              "default",  "minimum",     "maximum",
                                                              "required", "minItems",    "maxItems"};
  bool plain = schema.is_object();
  std::size_t schemas = 0;
  visit_schemas(schema, [&](const std::string&, Json& at) {
    plain = plain && ++schemas <= kPlainSchemas;
    for (const auto& item : at.items()) {
      const std::string& keyword = item.key();
      const Json& value = item.value();
      plain = plain && std::find(kPlain.begin(), kPlain.end(), keyword) != kPlain.end();
      if (keyword == "items" || keyword == "additionalProperties") plain = plain && !value.is_array();
      if (keyword == "minItems" || keyword == "maxItems")
        plain = plain && value.is_number_unsigned() && value.get<std::size_t>() <= kPlainItems;
      if (keyword == "description" || keyword == "title") plain = plain && value.is_string();
      if (keyword != "required") continue;
      plain = plain && value.is_array();
      for (const auto& name : value.items()) plain = plain && name.value().is_string();
    }
  });
  return plain;
}

// From exact to "any object", one concession at a time.
class Fitting {
 public:
  Fitting(const GrammarCompiler& compiler, const JsonStyle& style, Json schema, std::vector<std::string> relaxed)
      : compiler_(compiler),
        style_(style),
        schema_(std::move(schema)),
        relaxed_(std::move(relaxed)),
        repair_(compiler) {
    repair_.drop_costly_multiples(schema_);
  }

  // An error when not even the last concession before "any object" was enough.
  Result<FittedSchema> run() {
    Status status = attempt(Mode::strict);
    if (status) return done(Mode::strict);
    if (status.error().message.find("oneOf") != std::string::npos && attempt(Mode::one_of_as_any_of))
      return done(Mode::one_of_as_any_of);
    do {
      status = attempt(Mode::lenient);
      if (status) return done(Mode::lenient);
    } while (repair_.apply(status.error().message, schema_));
    return tl::unexpected(std::move(status).error());
  }

  Result<FittedSchema> any_object(const std::string& reason) {
    schema_ = Json{{"type", "object"}};
    TRY_OK(attempt(Mode::strict));
    return FittedSchema{with_options(schema_, style_, Mode::strict),
                        {"/: everything, any JSON object is taken: " + reason}};
  }

 private:
  std::string lark(Mode mode) const { return "start: %json " + with_options(schema_, style_, mode); }

  Status attempt(Mode mode) { return compiler_.try_compile(lark(mode)); }

  FittedSchema done(Mode mode) {
    std::vector<std::string> relaxed = relaxed_;
    relaxed.insert(relaxed.end(), repair_.removed().begin(), repair_.removed().end());
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

  const GrammarCompiler& compiler_;
  const JsonStyle& style_;
  Json schema_;
  std::vector<std::string> relaxed_;
  Repair repair_;
};

// What the rewriting made may be too large where the client's own words were not.
Result<FittedSchema> fit_document(const GrammarCompiler& compiler, const JsonStyle& style, Json document,
                                  std::vector<std::string> relaxed) {
  tidy(document);
  const std::vector<std::string> dropped = relaxed;
  Json rewritten = document;
  rewrite_schema(rewritten, relaxed);
  const bool changed = rewritten != document;
  Fitting fitting(compiler, style, std::move(rewritten), std::move(relaxed));
  auto fitted = fitting.run();
  if (fitted) return fitted;
  std::string proof(reason_no_value_matches(fitted.error().message));
  Result<FittedSchema> wider = fail(Code::invalid, "");
  if (changed) wider = Fitting(compiler, style, std::move(document), dropped).run();
  if (!wider) wider = fitting.any_object(fitted.error().message);
  if (wider) wider->unsatisfiable = std::move(proof);
  return wider;
}

Result<FittedSchema> fit_text(const GrammarCompiler& compiler, const JsonStyle& style, std::string_view schema) {
  std::vector<std::string> dropped;
  TRY(Json document, read_schema(schema, &dropped));
  if (dropped.empty() && is_plain(document)) {
    std::string json = with_options(std::move(document), style, Mode::strict);
    if (compiler.takes_schema(json)) return FittedSchema{std::move(json), {}};
    TRY(document, read_schema(schema));
  }
  TRY_OK(SchemaCheck::compile(schema));
  return fit_document(compiler, style, std::move(document), std::move(dropped));
}

class Fitter final : public SchemaFitter {
 public:
  explicit Fitter(const GrammarCompiler& compiler)
      : compiler_(compiler), fitted_(kFittedSchemas, kFittedBytes), reasons_(kReasons, kFittedBytes) {}

  Result<FittedSchema> fit(std::string_view schema, const JsonStyle& style) override {
    if (auto remembered = known(schema, style)) return std::move(*remembered);
    JsonStyle safe_style = style;
    if (style.whitespace.size() > limits::kRegexBytes)
      return fail(Code::invalid, fmt::format("the pattern of white space has more than {} bytes", limits::kRegexBytes));
    if (!style.whitespace.empty()) {
      TRY(safe_style.whitespace, rewritten_regex(style.whitespace, RegexSyntax::rust, RegexText::blank));
    }
    FittedSchema fitted;
    TRY_OK(on_deep_stack([&]() -> Status {
      TRY(fitted, fit_text(compiler_, safe_style, schema));
      return {};
    }));
    took(schema, style, fitted);
    return fitted;
  }

  std::optional<FittedSchema> known(std::string_view schema, const JsonStyle& style) override {
    const Hash128 key = key_of(schema, style);
    const std::lock_guard lock(mutex_);
    const FittedSchema* found = fitted_.find(key);
    return found ? std::optional(*found) : std::nullopt;
  }

  void took(std::string_view schema, const JsonStyle& style, FittedSchema fitted) override {
    const Hash128 key = key_of(schema, style);
    const std::size_t bytes = schema.size() + fitted.json.size();
    const std::lock_guard lock(mutex_);
    fitted_.put(key, std::move(fitted), bytes);
  }

  std::optional<FittedSchema> plain(std::string_view schema, const JsonStyle& style) const override {
    // Nor what reading could go deep for.
    if (!style.whitespace.empty() || schema.size() > kPlainBytes || schema.find("$ref") != std::string_view::npos)
      return std::nullopt;
    std::vector<std::string> dropped;
    auto document = read_schema(schema, &dropped);
    if (!document || !dropped.empty() || !is_plain(*document)) return std::nullopt;
    return FittedSchema{with_options(std::move(*document), style, Mode::strict), {}};
  }

  std::string why_unsatisfiable(std::string_view schema, const std::string& reason) override {
    const Hash128 key = key_of(schema, {});
    {
      const std::lock_guard lock(mutex_);
      if (const std::string* known = reasons_.find(key)) return *known;
    }
    std::string why;
    const Status searched = on_deep_stack([&]() -> Status {
      TRY(Json document, read_schema(schema));
      tidy(document);
      why = why_no_value_matches(compiler_, document, reason);
      return {};
    });
    if (!searched) return reason;
    const std::lock_guard lock(mutex_);
    reasons_.put(key, why, schema.size() + why.size());
    return why;
  }

 private:
  static Hash128 key_of(std::string_view schema, const JsonStyle& style) {
    return xxh3_128(fmt::format("{}:{}{}:{}{}:{}{}", style.item_separator.size(), style.item_separator,
                                style.key_separator.size(), style.key_separator, style.whitespace.size(),
                                style.whitespace, schema));
  }

  const GrammarCompiler& compiler_;
  std::mutex mutex_;
  Lru<FittedSchema> fitted_;
  Lru<std::string> reasons_;
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
