// What to do with a schema llguidance cannot express in full: say where, and leave out as little
// as possible.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "constrain/compiler.h"

namespace kvern::constrain {

// Removes what means nothing but makes llguidance refuse ("uniqueItems": false, "then" without
// "if"), writes whole-number bounds as integers (100.0 -> 100), and drops every "x-guidance".
void tidy(Json& schema);

// One line for each keyword the warnings speak of, with its place: "/properties/cmd: not". A
// warning whose keyword is not found is a line itself.
std::vector<std::string> locate(Json& schema, std::string_view warnings);

// Leaves out keywords a grammar cannot afford, and those for which even a lenient compilation
// failed. Each kind of trouble is met once.
class Repair {
 public:
  explicit Repair(const GrammarCompiler& compiler) : compiler_(compiler) {}

  // The automaton of "multipleOf": 50000 has 50000 states and takes a second to build, outside
  // llguidance's own limits; numbers that meet in an allOf multiply. Before the first attempt.
  void drop_costly_multiples(Json& schema);

  // True when something was removed for this error, and a new attempt is worth it.
  bool apply(const std::string& error, Json& schema);

  // "/properties/id: pattern", one for each keyword removed.
  const std::vector<std::string>& removed() const { return removed_; }

 private:
  bool remove_patterns(Json& schema);
  bool remove_keywords(std::size_t remedy, Json& schema);
  bool remove_reference_siblings(Json& schema);

  const GrammarCompiler& compiler_;
  std::vector<std::string> removed_;
  std::vector<bool> tried_;
};

}  // namespace kvern::constrain
