// The grammar of arguments in styles that llguidance's %json cannot write: one walk over a tool's JSON
// Schema for all of them, which asks a style how each kind of value is written. What is not enforced is
// relaxed as "/path: keyword".
//
// All strings here that are not said to be text are Lark expressions; "" is nothing.
// Thread: one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "chat/dialect/grammar_parts.h"

namespace kvern::chat {

enum class Level {
  arguments,  // the parameters themselves
  nested      // an object within a value
};

struct Brackets {
  std::string open;
  std::string separator;
  std::string close;
};

class ValueStyle {
 public:
  ValueStyle(GrammarParts& in, const Tool& of) : parts(in), tool(of) {}
  virtual ~ValueStyle() = default;

  virtual Brackets object(Level level) const = 0;
  virtual Brackets list() const = 0;
  // A member, of a key as key_of() and other_key() give it.
  virtual std::string member(const std::string& key, const std::string& value, Level level) const = 0;
  virtual std::string item(const std::string& value) const { return value; }

  // nullopt: this text cannot be a key.
  virtual std::optional<std::string> key_of(const std::string& text, Level level) const = 0;
  // The body of a terminal: any key but these texts.
  virtual std::string other_key(const std::vector<std::string>& taken, Level level) const = 0;

  // Whole values.
  virtual std::string scalar(const std::string& number_or_word) const { return number_or_word; }
  virtual std::string boolean(bool value) const;
  virtual std::string null() const;
  virtual std::string any_text() const = 0;
  // Where objects and lists may stand instead: strings that cannot be taken for their beginning.
  virtual std::string open_text() const { return any_text(); }
  virtual std::optional<std::string> exact_text(const std::string& text) const = 0;  // nullopt: not writable
  // A string as its keywords say. path: where the schema is, as relax() wants it.
  virtual std::string limited_text(const Json& schema, const std::string& path) const = 0;
  // The one parameter of a custom tool, as its rule says.
  virtual Result<std::string> ruled_text() const = 0;

  virtual bool sorts_keys() const { return false; }
  // Values are JSON: llguidance writes them.
  virtual bool values_are_json() const { return false; }

 protected:
  // A string terminal and the end behind it: up to the first where text can hold it.
  std::string up_to(const std::string& terminal, std::string_view end) const;
  // Text between two marks that it cannot hold, as its keywords say: the terminal.
  std::string raw_terminal(const Json& schema, std::string_view forbidden, const std::string& path) const;

  GrammarParts& parts;
  const Tool& tool;
};

// For the right side of a rule. Code::invalid when the parameters are no schema.
Result<std::string> write_arguments(GrammarParts& parts, const Tool& tool, const ValueStyle& style);

// As a terminal's body: what matches pattern (a regular expression) and is none of the texts.
std::string all_but(std::string_view pattern, const std::vector<std::string>& texts);

}  // namespace kvern::chat
