// JSON Schemas of clients -> what llguidance can enforce, and a check after the fact.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "constrain/constraint.h"

namespace kvern::constrain {

// How the generated JSON is spaced: exactly as the model's template writes it.
struct JsonStyle {
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  // A regular expression for whitespace between JSON tokens; then the separators are "," and ":" with
  // that around them. Empty: none but what the separators hold.
  std::string whitespace = {};
};

// A schema as it goes into a grammar: `%json <text>`.
struct FittedSchema {
  std::string json;                  // with our x-guidance; a client's own is overwritten
  std::vector<std::string> relaxed;  // what could not be enforced, in llguidance's words; empty: all is
  // llguidance's reason when it has proved that no value can match; json and relaxed let something in all the same.
  // Empty: a value can match, or nobody knows.
  std::string unsatisfiable = {};
};

// Fits a schema. Strict first; what llguidance cannot express is relaxed (lenient), and a schema it
// cannot compile at all becomes "any JSON object". Code::invalid when it is no JSON Schema (not
// JSON, not an object or boolean, or refused by the schema compiler), or style.whitespace matches more than
// white space. Results are kept by content hash.
// The compiler comes from Compiler::create and must outlive the fitter. Thread: any.
class SchemaFitter {
 public:
  static std::unique_ptr<SchemaFitter> create(Compiler& compiler);
  virtual ~SchemaFitter() = default;
  virtual Result<FittedSchema> fit(std::string_view schema, const JsonStyle& style) = 0;
  // Code::invalid for what fit() refuses.
  virtual Status check(std::string_view schema) {
    return fit(schema, {}).map([](const FittedSchema&) {});
  }
  // A schema as it is, which llguidance nearly always takes: so many of them are tried at once, in the grammar that
  // holds them, and fitted one by one where that was refused. Unset for those that need fitting.
  virtual std::optional<FittedSchema> plain(std::string_view schema, const JsonStyle& style) const = 0;
  // A grammar took that of plain(): fit() returns it from now on.
  virtual void took(std::string_view schema, const JsonStyle& style, FittedSchema fitted) = 0;
  // What fit() remembers; unset when it would have to fit.
  virtual std::optional<FittedSchema> known(std::string_view schema, const JsonStyle& style) = 0;
  // "/properties/a/enum: the list is empty": where a fitted schema with that `reason` to be unsatisfiable says so. The
  // first time as dear as dozens of fits.
  virtual std::string why_unsatisfiable(std::string_view schema, const std::string& reason) = 0;
};

// Checks a finished value against a schema with the full keyword set (crate jsonschema).
class SchemaCheck {
 public:
  static Result<SchemaCheck> compile(std::string_view schema);
  SchemaCheck(SchemaCheck&&) noexcept;
  SchemaCheck& operator=(SchemaCheck&&) noexcept;
  ~SchemaCheck();

  // ok, or Code::invalid with the first errors ("at /command: 5 is not of type \"string\"").
  Status check(std::string_view json) const;

 private:
  explicit SchemaCheck(void* schema) : schema_(schema) {}
  void* schema_ = nullptr;
};

// Text as a Lark string literal, quotes included.
std::string lark_literal(std::string_view text);

}  // namespace kvern::constrain
