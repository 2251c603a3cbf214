// What may stand in a parameter's element, as grammar. Thread: one, as GrammarParts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "chat/dialect/grammar_parts.h"
#include "chat/dialect/parameter_types.h"

namespace kvern::chat {

struct StringWay;

// The word that announces a raw string; "" where the family announces nothing.
std::string_view string_word(const Dialect& dialect);

struct TaggedValue {
  std::string_view word;  // announces it
  std::string text;       // Lark: the value and the mark behind it
};

class TaggedValues {
 public:
  TaggedValues(GrammarParts& parts, const Tool& tool);

  // The ways to write a value of the schema, which is part of root; one, where no word announces them.
  // Every text they allow is read as a value that the schema allows, but for what is relaxed.
  Result<std::vector<TaggedValue>> of(const Json& schema, const Json& root, const std::string& where);

  // A custom tool's text, and the mark behind it.
  Result<std::string> custom_input();

 private:
  Result<TaggedValue> json_value(const Json& schema, const Json& root, TypeSet types, const std::string& where);
  Result<std::string> string_value(const Json& schema, const Json& root, TypeSet others, const std::string& where);
  Result<std::string> limited_text(const StringWay& way, TypeSet others, const std::string& where);
  std::string scalars(const Json& schema, const Json& root, TypeSet others, const std::string& where);
  std::string marked_text(const std::string& body);
  std::string raw_value();
  void relax(const std::string& what) { parts_.relax(tool_, what); }

  GrammarParts& parts_;
  const Dialect& dialect_;
  const Tool& tool_;
  const std::string end_;       // Lark: the mark behind a value
  const std::string_view tag_;  // what the reader takes for it
  const bool end_is_control_;   // no text can hold it
};

}  // namespace kvern::chat
